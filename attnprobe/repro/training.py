"""A training run as a script: the model and the task as they stand, with the library's attention."""

from __future__ import annotations

import ast
from dataclasses import replace
from importlib.resources import files

from attnprobe.core.outcome import Measured
from attnprobe.core.trial import Record
from attnprobe.repro import calls, experiments
from attnprobe.repro.calls.base import Call

STEPS = {"cpu": 100, "cuda": 400}
LEARNING_RATE = 3e-3
"""As in device/training/parity.py."""

_IMPORTS = (
    "from collections.abc import Callable",
    "from dataclasses import dataclass",
    "from torch import Tensor, nn",
    "from torch.nn import functional",
)


def ask(record: Record) -> tuple[Call, str]:
    """The call with what the model imports, and the statements.

    What the loss may be is taken from the record: its null runs trained the same model with float32
    attention and random errors of the size of roundings.
    """
    case, outcome = record.trial.case, record.outcome
    training = outcome.training if isinstance(outcome, Measured) else None
    quarters = [
        (n, float(f"{stretch.expected:.9g}"), float(f"{stretch.allowed:.3g}"))
        for n, stretch in enumerate(training.stretches if training else (), start=1)
    ]
    call = calls.write(case, record.trial.backend)
    text = experiments.render(
        "training",
        case=case,
        model=_source("model"),
        task=_source("task"),
        rate=LEARNING_RATE,
        steps=len(training.losses) if training else STEPS[case.device.partition(":")[0]],
        quarters=quarters,
    )
    return replace(call, imports=(*call.imports, *_IMPORTS)), text


def _source(name: str) -> str:
    """A file of device/training from below its imports on."""
    text = files("attnprobe.device.training").joinpath(f"{name}.py").read_text()
    imports = (ast.Import, ast.ImportFrom)
    last = max(n.end_lineno or 0 for n in ast.parse(text).body if isinstance(n, imports))
    return "\n".join(text.splitlines()[last:]).strip()
