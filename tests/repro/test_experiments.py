"""The laboratory's experiments as scripts: they find what it finds and blame no right kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from attnprobe import masks
from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured
from attnprobe.core.parity import Failure, Parity
from attnprobe.core.trial import Record, Trial
from attnprobe.device import laboratory
from attnprobe.device.answer import answer
from attnprobe.repro import experiments
from tests.repro.scripts import executed, write

CAUSAL = Case(2, 4, 2, 70, 70, 8, 8, dtype="float32", mask=masks.parse("causal(align=top-left)"))
DROPPED = CAUSAL.edit(Mq=32, Mkv=32, K=32, Kv=32, dropout_p=0.3)

PLANTED = {
    "leak": "from tests.mutation.masks import SmallFiniteMask as attention",
    "mask-decode": "from tests.mutation.masks import CausalOneAhead as attention",
    "determinism": "from tests.mutation.memory import Race as attention",
    "unwritten": "from tests.mutation.memory import LastQueriesUnwritten as attention",
    "inplace": "from tests.mutation.memory import ScalesQueryInPlace as attention",
    "strided-gradient": "from tests.mutation.gradients import DoutStrideBlind as attention",
    "stale": "from tests.mutation.masks import StaleMask as attention",
    "power-of-two": """
from tests.mutation.base import Attention
class attention(Attention):
    def output(self, P, v):
        return P @ v.clamp(-3.0, 3.0)
""",
    "gradient-subsets": """
from tests.mutation.base import Attention
class attention(Attention):
    def __call__(self, query, key, value, **options):
        out = super().__call__(query, key, value, **options)
        return out if key.requires_grad else out * 1.0 + 0.1 * query
""",
    "dropout": "from tests.mutation.memory import DropoutOtherInBackward as attention",
    "mask-memory": "from tests.mutation.strides import MaskInnerStrideIsOne as attention",
    "threads": "from tests.mutation.states import ScratchSharedByThreads as attention",
    "isolation": "from tests.mutation.states import MaximumOfTheTile as attention",
    "inference": """
from tests.mutation.base import Attention
import torch
class attention(Attention):
    def __call__(self, query, key, value, is_causal=False, **options):
        is_causal = is_causal and torch.is_grad_enabled()
        return super().__call__(query, key, value, is_causal=is_causal, **options)
""",
    "ends": "from tests.mutation.memory import SecondBatchWrong as attention",
    "interleaved": """
from tests.mutation.base import Attention
class attention(Attention):
    def delta(self, dout, out, P, dP):
        return (dout * self.latest).sum(-1, keepdim=True)
    def output(self, P, v):
        self.latest = super().output(P, v)
        return self.latest
""",
    "backward-twice": """
from tests.mutation.base import Attention
class attention(Attention):
    def dscores(self, P, dP, D):
        dS = super().dscores(P, dP, D)
        self.calls = getattr(self, "calls", 0) + 1
        return dS * (1.0 if self.calls < 3 else 1.5)
""",
}


def script(tmp_path: Path, question: str, source: str) -> str:
    (tmp_path / "kernel.py").write_text(source)
    failed = Measured("", Parity("fail", "fused_tc", failures=(Failure(question, "seen"),)))
    case = DROPPED if question == "dropout" else CAUSAL
    return write(Record(Trial(case, f"{tmp_path}/kernel.py:attention", question), failed))


def test_every_experiment_can_be_written():
    """Each has its template."""
    assert set(laboratory.names()) <= set(experiments.names())


@pytest.mark.parametrize("question", PLANTED)
def test_a_planted_bug_is_found(question: str, tmp_path: Path):
    """Exit status 1, and what is wrong is printed."""
    shown = executed(script(tmp_path, question, PLANTED[question]))
    assert (shown["status"], "WRONG" in shown["printed"]) == (1, True), shown["printed"]


@pytest.mark.parametrize(
    "name", ["DropoutNotRescaled", "DropoutRateDoubled", "DropoutIgnored", "DropoutSameForHeads"]
)
def test_wrong_dropout_is_found(name: str, tmp_path: Path):
    """Rate, scale and independence."""
    source = f"from tests.mutation.memory import {name} as attention"
    assert executed(script(tmp_path, "dropout", source))["status"] == 1


@pytest.mark.parametrize(
    "question", [n for n in experiments.names() if n not in ("other-stream", "ring", "training")]
)
def test_a_right_kernel_is_not_blamed(question: str, tmp_path: Path):
    """Exit status 0 for float32 attention written out."""
    source = "from tests.mutation.right import Plain as attention"
    shown = executed(script(tmp_path, question, source))
    assert shown["status"] == 0, shown["printed"]


@pytest.mark.parametrize("question", ["determinism", "strided-gradient", "interleaved"])
def test_what_is_wrong_anyway_is_shown_by_numbers(question: str, tmp_path: Path):
    """An experiment on a wrong kernel says what a comparison says; so does its script."""
    kernel = tmp_path / "kernel.py"
    kernel.write_text("from tests.mutation.scores import ScaleOnePercentOff as attention")
    trial = Trial(CAUSAL, f"{kernel}:attention", question)
    found = Record(trial, answer(trial, lambda phase: None))
    text = write(found)
    shown = executed(text)
    assert (shown["status"], "relative error of" in shown["printed"]) == (1, True)
    kernel.write_text("from tests.mutation.right import Plain as attention")
    assert executed(text)["status"] == 0, text
