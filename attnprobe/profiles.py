"""Finds workloads: those that ship, by name, any YAML file and any capture, by path."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from attnprobe.errors import UsageError
from attnprobe.located_yaml import MAX_CHARACTERS
from attnprobe.workload import Workload, parse
from attnprobe.workload.written import written

if TYPE_CHECKING:
    from attnprobe.core.capture import Capture


@cache
def folder() -> Path:
    """Where the shipped workloads are: inside the package in a wheel, beside it in a source tree."""
    package = Path(__file__).parent
    inside = package / "profiles"
    return inside if inside.is_dir() else package.parent / "profiles"


def names() -> tuple[str, ...]:
    """The workloads that ship."""
    return tuple(sorted(path.stem for path in folder().glob("*.yaml")))


def find(workload: str) -> Path:
    """The file that `workload` means: a shipped name, or a path.

    Raises:
        UsageError: Neither; names the nearest shipped workloads.
    """
    if workload in names():
        return folder() / f"{workload}.yaml"
    path = Path(workload)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return path
    near = get_close_matches(workload, names(), n=3, cutoff=0.4) or names()
    raise UsageError(
        f"there is no workload {workload[:100]!r}",
        why="it is neither the name of a shipped workload nor the path of a YAML file or a capture",
        fix=f"did you mean {', '.join(near)}? `attnprobe profiles` lists them all",
    )


def text(workload: str) -> str:
    """The YAML itself; that of a capture is written for it.

    Raises:
        UsageError: The file cannot be read as text.
        SessionError: A capture that cannot be read.
    """
    seen = captured(workload)
    if seen is not None:
        return written(_calls(seen, workload))
    path = find(workload)
    try:
        with path.open("rb") as file:
            content = file.read(4 * MAX_CHARACTERS + 1)
        return content.decode()
    except OSError as error:
        raise UsageError(f"workload {path} cannot be read", why=error.strerror or "") from None
    except UnicodeDecodeError as error:
        raise UsageError(
            f"workload {path} is not text", why=f"byte {error.start} is not UTF-8"
        ) from None


def captured(workload: str) -> Capture | None:
    """What a script was seen to do, where `workload` is the path of a capture; None where it is none.

    Raises:
        UsageError: There is no such workload.
        SessionError: It is a capture that cannot be read.
    """
    path = find(workload)
    if path.suffix in (".yaml", ".yml"):
        return None
    from attnprobe.capture import load as captures  # here: most workloads need no captures

    return captures.load(path) if captures.is_capture(path) else None


def load(workload: str) -> Workload:
    """Reads a shipped workload, a file, or the calls of a capture.

    Raises:
        UsageError: Not found, not readable, or with every problem that it has; a capture that holds
            no call that can be made again.
        SessionError: A capture that cannot be read.
    """
    seen = captured(workload)
    if seen is not None:
        return _calls(seen, workload)
    return parse(text(workload), str(find(workload)))


def _calls(seen: Capture, name: str) -> Workload:
    """The workload of a capture.

    Raises:
        UsageError: No call of it can be made again.
    """
    from attnprobe.capture import replay

    found = replay.workload(seen)
    if not found.calls:
        why = "\n     ".join(found.notes[:20]) or "no attention call was seen"
        raise UsageError(f"capture {name} holds no call that can be made again", why=why)
    return found
