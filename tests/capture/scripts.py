"""Runs small scripts as users do: plainly, and under `attnprobe capture`."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

from attnprobe.capture.load import load
from attnprobe.core.capture import Call, Capture

ROOT = Path(__file__).parents[2]

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Ran:
    """A script's end, and what was captured of it."""

    code: int
    out: str
    err: str
    capture: Capture

    def calls(self, api: str) -> list[Call]:
        return [call for call in self.capture.calls if call.api == api]

    def only(self, api: str) -> Call:
        (call,) = self.calls(api)
        return call


def write(folder: Path, text: str, name: str = "script.py") -> Path:
    path = folder / name
    path.write_text(textwrap.dedent(text))
    return path


def plain(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def bootstrapped(folder: Path, text: str, *arguments: str, **told: object) -> Ran:
    """The script's process alone, without the command line around it: what most tests are about."""
    import json

    script = write(folder, text)
    output = folder / "capture.json"
    wish = {
        "target": script.name,
        "module": False,
        "output": str(output),
        "steps": None,
        "stop_after": None,
        "timing": False,
        **told,
    }
    bootstrap = str(ROOT / "attnprobe" / "capture" / "bootstrap.py")
    done = plain(folder, bootstrap, json.dumps(wish), *arguments)
    assert output.exists(), done.stderr
    return Ran(done.returncode, done.stdout, done.stderr, _read(output))


def commanded(folder: Path, options: list[str], command: list[str]) -> Ran:
    """The whole command line."""
    output = folder / "capture.json"
    done = plain(folder, "-m", "attnprobe", "capture", "-o", str(output), *options, "--", *command)
    assert output.exists(), done.stderr
    return Ran(done.returncode, done.stdout, done.stderr, _read(output))


def _read(output: Path) -> Capture:
    """As the host reads it; what the script's process leaves for the host besides is taken off."""
    import json

    content = json.loads(output.read_text())
    content.pop("facts", None)
    output.write_text(json.dumps(content))
    return load(output)
