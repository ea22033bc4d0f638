"""Scripts of real packages, run as their users run them, under `attnprobe capture`."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from attnprobe.capture import load
from attnprobe.capture.replay import Replayed, each
from attnprobe.core.capture import Capture

SCRIPTS = Path(__file__).with_name("scripts")

Run = Callable[..., Capture]


def line(found: Replayed) -> str:
    """`6 sdpa: B2 H4 M24 K16 float32 causal(align=top-left) BMHK`: a call in one line.

    The count, the API, then the case that stands for it; last what the mask was seen to be, where that
    is more than the case's own words.
    """
    call, case = found.captured, found.case
    said = f"{call.count} {call.api}: {case.label if case else 'no case'}"
    mask = call.mask
    if mask is None:
        return said
    padded = [f"keys {','.join(map(str, mask.lengths))}"] if mask.lengths else []
    padded += [f"left {','.join(map(str, mask.padding_left))}"] if mask.padding_left else []
    return " | ".join([said, " ".join((mask.kind, mask.form, *padded))])


def lines(capture: Capture) -> list[str]:
    """All calls, in alphabetical order."""
    return sorted(line(found) for call in capture.calls for found in each(call))


def require(package: str) -> None:
    """Skips the test where a package is missing or cannot be imported."""
    try:
        importlib.import_module(package)
    except ImportError as error:
        pytest.skip(f"{package} is not usable here: {error}; pip install attnprobe[thirdparty]")
    except RuntimeError as error:  # torchvision of another torch: an operator does not exist
        pytest.skip(f"{package} cannot be imported beside this torch: {error}")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a script of `scripts/` under capture; fails where its result differs without it."""

    def of(script: str, *arguments: str, compare: bool = False, seconds: float = 300) -> Capture:
        file = tmp_path / "run.json"
        command = [str(SCRIPTS / script), *arguments]
        told = _python("-m", "attnprobe", "capture", "-o", str(file), "--", *command, s=seconds)
        assert told.returncode == 0, told.stderr[-3000:]
        if compare:
            alone = _python(*command, s=seconds)
            assert alone.stdout.splitlines() == told.stdout.splitlines()[: _count(alone.stdout)]
        return load.load(file)

    return of


def _count(text: str) -> int:
    return len(text.splitlines())


def _python(*arguments: str, s: float) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
    environment = {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=s,
        check=False,
        env=environment,
    )
