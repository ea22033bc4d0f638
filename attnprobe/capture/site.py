"""Where in the user's code a call was made."""

from __future__ import annotations

import os
import sys
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

_known: dict[CodeType, bool] = {}


def place() -> Place | None:
    """The innermost line outside of torch, attention libraries and attnprobe."""
    frame = _outside(sys._getframe(1))
    return (frame.f_code, frame.f_lineno) if frame else None


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


class Surroundings:
    """What the stack says of a call, read once for each place.

    Attributes:
        caller: `file:line` of the innermost line in the script's folder, where that is another one.
        module: Class of the nearest nn.Module whose method is running.
        training: Its flag; None without a module.

    Args:
        root: The script's folder.
        module_class: torch.nn.Module.
    """

    def __init__(self, root: str, module_class: type) -> None:
        self.caller, self.module = "", ""
        self.training: bool | None = None
        frame: FrameType | None = sys._getframe(1)
        outside = _outside(frame)
        for _ in range(_DEEPEST):
            if frame is None or (self.module and self.caller):
                break
            if not self.module:
                self._read_module(frame, module_class)
            code = frame.f_code
            if not self.caller and not _is_library(code) and _below(root, code.co_filename):
                same = frame is outside
                self.caller = "-" if same else written(code, frame.f_lineno, root)
            frame = frame.f_back
        self.caller = "" if self.caller == "-" else self.caller

    def _read_module(self, frame: FrameType, module_class: type) -> None:
        arguments = frame.f_code.co_varnames[: frame.f_code.co_argcount]
        if arguments[:1] != ("self",):  # reading f_locals makes a copy: only where it can help
            return
        found: Any = frame.f_locals.get("self")
        if isinstance(found, module_class):
            self.module = type(found).__name__
            self.training = bool(getattr(found, "training", False))


def _below(root: str, path: str) -> bool:
    """A file of the user's own: in the script's folder, and in no environment that lies in there."""
    return os.path.abspath(path).startswith(root + os.sep) and "site-packages" not in path


def written(code: CodeType, line: int, root: str) -> str:
    """`train.py:12`, relative to the script's folder or from site-packages on."""
    path = code.co_filename
    if path.startswith("<"):
        return f"{path}:{line}"
    full = os.path.abspath(path)
    if _below(root, full):
        return f"{os.path.relpath(full, root)}:{line}"
    return f"{public(full)}:{line}"
