"""Runs a user's script and takes down its attention calls; what it prints and returns is its own."""

from __future__ import annotations

from pathlib import Path

from attnprobe.capture import launch
from attnprobe.capture.finish import finish
from attnprobe.capture.writing import rank_path
from attnprobe.core.capture import Capture
from attnprobe.errors import SessionError, UnusableHost


def seen(wish: launch.Wish) -> tuple[int, Path, Capture | None]:
    """The script's exit code, where its capture is, and the capture; None where there is none.

    Raises:
        UsageError: There is no such script or interpreter.
        UnusableHost: What was written is no capture.
    """
    path = Path(rank_path(wish.output))
    before = _stamp(path)
    code = launch.run(wish)
    if _stamp(path) == before:
        return code, path, None
    try:
        return code, path, finish(path, wish.python)
    except SessionError as error:
        raise UnusableHost(error.what, error.why, "run the script again") from None


def _stamp(path: Path) -> tuple[int, int] | None:
    """Tells one file of that name from another."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
