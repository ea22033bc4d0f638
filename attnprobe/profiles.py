"""Finds workloads: those that ship, by name, and any YAML file, by path."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from pathlib import Path

from attnprobe.errors import UsageError
from attnprobe.located_yaml import MAX_CHARACTERS
from attnprobe.workload import Workload, parse


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
        why="it is neither the name of a shipped workload nor the path of a YAML file",
        fix=f"did you mean {', '.join(near)}? `attnprobe profiles` lists them all",
    )


def text(workload: str) -> str:
    """The YAML itself.

    Raises:
        UsageError: The file cannot be read as text.
    """
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


def load(workload: str) -> Workload:
    """Reads a shipped workload or a file.

    Raises:
        UsageError: Not found, not readable, or with every problem that it has.
    """
    return parse(text(workload), str(find(workload)))
