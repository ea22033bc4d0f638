"""Scripts executed: in this process to look at their tensors, in another for their exit status."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import torch

from attnprobe import repro
from attnprobe.core.case import Case
from attnprobe.core.report import Report
from attnprobe.core.trial import Record, Trial
from attnprobe.device.answer import answer

ROOT = Path(__file__).parents[2]


_numbers = itertools.count()


def record(case: Case, backend: str, question: str = "check") -> Record:
    """A trial answered in this process."""
    trial = Trial(case, backend, question)
    return Record(trial, answer(trial, lambda phase: None))


def executed(text: str) -> dict[str, Any]:
    """What a script leaves behind; `status` is what it exited with."""
    # dynamo looks up the module of a function by its name, and remembers it
    module = types.ModuleType(f"script_{next(_numbers)}")
    names = vars(module)
    sys.modules[module.__name__] = module
    mode, hook = torch.are_deterministic_algorithms_enabled(), sys.excepthook
    try:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(text, "script", "exec"), names)
    except SystemExit as ended:
        names["status"] = ended.code
    finally:
        torch.use_deterministic_algorithms(mode)
        sys.excepthook = hook
    return names | {"printed": printed.getvalue()}


def write(found: Record) -> str:
    """The script of a record from a session without an environment."""
    return repro.write(found, Report(records=(found,)))


def run(script: Path, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """The script as a maintainer runs it, in `folder`; attnprobe cannot be imported."""
    code = (
        "import runpy, sys; sys.modules['attnprobe'] = None; "
        f"sys.path.insert(0, {str(folder)!r}); runpy.run_path({str(script)!r}, run_name='__main__')"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=folder,
    )
