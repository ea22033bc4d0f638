"""Distributions on disk in the diagnosed interpreter, read without importing any of them."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from attnprobe.core.environment import Package
from attnprobe.probe import inventory

_LIMIT_S = 60.0

_START = "import sys; sys.path[:] = [p for p in sys.path if p]; exec(sys.argv[1])"
"""A program started with `-c` would import from the current folder first; a file there must not
shadow the standard library. PYTHONPATH stays: the user's own programs see it too."""


@dataclass(frozen=True)
class Installed:
    """What one interpreter can import.

    Args:
        python: Its version; empty when it could not be started.
        executable: Its file, links resolved.
        packages: Relevant distributions, torch first; of two with one name the first is imported.
        extensions: Path of each extension library -> distribution that owns it.
        roots: Folders on its path.
        gaps: What could not be read, and why.
    """

    python: str
    executable: str = ""
    packages: tuple[Package, ...] = ()
    extensions: tuple[tuple[str, str], ...] = ()
    roots: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()


def installed(python: str | None = None) -> Installed:
    """Lists the distributions of an interpreter.

    Args:
        python: Path of the interpreter; None is the one that runs attnprobe.
    """
    try:
        found = inventory.inventory() if python in (None, sys.executable) else _ask(str(python))
    except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        return Installed("", gaps=(f"packages: {python or sys.executable} was not read: {error}",))
    return Installed(
        python=found["python"],
        executable=found["executable"],
        packages=tuple(
            Package(p["name"], p["version"], p["build"], p["editable"], tuple(p["provides"]))
            for p in sorted(found["packages"], key=lambda p: (p["name"] != "torch", p["name"]))
        ),
        extensions=tuple((path, p["name"]) for p in found["packages"] for path in p["extensions"]),
        roots=tuple(found["roots"]),
        gaps=tuple(found["unread"]),
    )


def _ask(python: str) -> dict[str, Any]:
    done = subprocess.run(
        [python, "-c", _START, inspect.getsource(inventory)],
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise OSError(last)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
