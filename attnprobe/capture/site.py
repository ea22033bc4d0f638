"""Where in the user's code a call was made."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

from attnprobe.core.paths import public

Place = tuple[CodeType, int]
"""A code object and a line: an address that costs nothing to compare."""

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_LIBRARIES = {
    *("torch", "functorch", "xformers", "mslk", "flash_attn", "flash_attn_interface", "einops"),
    *("flash_attn_3", "memory_efficient_attention_pytorch"),
}
_PLUMBING = ("contextlib.py", "functools.py", "threading.py")
_DEEPEST = 80
"""Frames that are looked through."""

_WAY = 8
"""Frames outside of libraries that tell two uses of one function apart."""

_known: dict[CodeType, bool] = {}


def place() -> Place | None:
    """The innermost line outside of torch, attention libraries and attnprobe."""
    frame = _outside(sys._getframe(1))
    return (frame.f_code, frame.f_lineno) if frame else None


def way() -> tuple[Any, ...]:
    """Where the call and those around it are made: tells self from cross attention in one function."""
    found: list[Any] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and len(found) < _WAY:
        if not _is_library(frame.f_code):
            found.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return tuple(found)


def _outside(frame: FrameType | None) -> FrameType | None:
    while frame is not None and _is_library(frame.f_code):
        frame = frame.f_back
    return frame


def _is_library(code: CodeType) -> bool:
    found = _known.get(code)
    if found is None:
        found = _known[code] = _in_library(code.co_filename)
    return found


def _in_library(path: str) -> bool:
    if path.startswith((_PACKAGE, "<frozen")) or path.endswith(_PLUMBING):
        return True
    for folder in ("site-packages", "dist-packages"):
        _, found, rest = path.rpartition(f"{os.sep}{folder}{os.sep}")
        if found:
            return rest.split(os.sep)[0].removesuffix(".py") in _LIBRARIES
    return path.startswith("<eval_with_key>")


@dataclass(frozen=True)
class Origin:
    """Where a call comes from, read once for each place.

    Args:
        where: `file:line` of the innermost line outside of libraries.
        function: The function there.
        caller: `file:line` of the innermost line in the script's folder, where that is another one.
        module: Class of the nearest nn.Module whose method is running.
        training: Its flag; None without a module.
    """

    where: str = ""
    function: str = ""
    caller: str = ""
    module: str = ""
    training: bool | None = None


def origin(place: Place | None, root: str, module_class: type) -> Origin:
    """What the stack says of a call.

    Args:
        place: Where it is.
        root: The script's folder.
        module_class: torch.nn.Module.
    """
    if place is None:
        return Origin()
    frame: FrameType | None = sys._getframe(1)
    outside, caller, module = _outside(frame), "", None
    for _ in range(_DEEPEST):
        if frame is None or (module is not None and caller):
            break
        code = frame.f_code
        if module is None:  # no truth of a module is asked: some have a length, or raise
            module = _running(frame, module_class)
        if not caller and not _is_library(code) and _below(root, code.co_filename):
            caller = "here" if frame is outside else written(code, frame.f_lineno, root)
        frame = frame.f_back
    return Origin(
        where=written(*place, root),
        function=place[0].co_name,
        caller="" if caller == "here" else caller,
        module=type(module).__name__ if module is not None else "",
        training=bool(getattr(module, "training", False)) if module is not None else None,
    )


def _running(frame: FrameType, module_class: type) -> Any:
    """The nn.Module whose method a frame runs; f_locals is a copy, made only where it can hold one."""
    arguments = frame.f_code.co_varnames[: frame.f_code.co_argcount]
    if arguments[:1] != ("self",):
        return None
    found = frame.f_locals.get("self")
    return found if isinstance(found, module_class) else None


def origin_in(trace: str, root: str) -> Origin:
    """The same of a traceback's text, which nodes of compiled graphs carry; the innermost is last."""
    lines = [(path, int(line), name) for path, line, name in _LINE.findall(trace)]
    outside = [found for found in lines if not _in_library(found[0])]
    if not outside:
        return Origin()
    own = [found for found in outside if _below(root, found[0])]
    path, line, name = outside[-1]
    caller = _path(own[-1][0], own[-1][1], root) if own and own[-1] != outside[-1] else ""
    return Origin(_path(path, line, root), name, caller)


_LINE = re.compile(r'File "([^"]+)", line (\d+), in (\S+)')


def _below(root: str, path: str) -> bool:
    """A file of the user's own: in the script's folder, and in no environment that lies in there."""
    return os.path.abspath(path).startswith(root + os.sep) and "site-packages" not in path


def written(code: CodeType, line: int, root: str) -> str:
    """`train.py:12`, relative to the script's folder or from site-packages on."""
    return _path(code.co_filename, line, root)


def _path(path: str, line: int, root: str) -> str:
    if path.startswith("<"):
        return f"{path}:{line}"
    full = os.path.abspath(path)
    if _below(root, full):
        return f"{os.path.relpath(full, root)}:{line}"
    return f"{public(full)}:{line}"
