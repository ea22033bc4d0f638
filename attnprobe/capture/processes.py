"""Python processes that the script starts: they run without hooks, which is said."""

from __future__ import annotations

import functools
import os
import sys
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attnprobe.capture.recorder import Recorder

MODULES = ("multiprocessing.popen_spawn_posix", "subprocess")

_WHAT = "calls in Python processes that the script started"
_WHY = (
    "each has an interpreter of its own; start ranks with "
    "`torchrun --no-python attnprobe capture -o FILE -- SCRIPT`"
)


_PLUMBING = ("subprocess.py", "capture/processes.py", "functools.py")


def install(module: ModuleType, recorder: Recorder) -> None:
    """Processes by multiprocessing's spawn, and commands whose program is a Python; not torch's own."""
    original = module.Popen.__init__

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - the method's name
        original(self, *args, **kwargs)
        spawned = module.__name__ != "subprocess" or _is_python(args, kwargs)
        if recorder.on and spawned and not _by_torch():
            recorder.gap(_WHAT, _WHY)

    module.Popen.__init__ = __init__
    recorder.when_off.append(lambda: setattr(module.Popen, "__init__", original))


def _is_python(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    command = args[0] if args else kwargs.get("args")
    words: list[Any] = list(command) if isinstance(command, (list, tuple)) else [command]
    if not words or not all(isinstance(word, (str, bytes, os.PathLike)) for word in words):
        return False
    return os.path.basename(os.fsdecode(words[0])).startswith("python")


def _by_torch() -> bool:
    """Whether torch starts a process for itself, such as a compiler; torchrun starts the user's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.endswith(_PLUMBING):
        frame = frame.f_back
    path = frame.f_code.co_filename.replace(os.sep, "/") if frame is not None else ""
    return "/torch/" in path and "/torch/distributed/" not in path
