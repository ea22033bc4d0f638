"""A training run as a script: the same losses, and the status of attnprobe's verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from attnprobe import masks
from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured
from attnprobe.core.trial import Record, Trial
from attnprobe.device.answer import answer
from attnprobe.device.training import parity
from attnprobe.repro import training, wrong
from tests.repro.scripts import executed, write

CASE = Case(8, 8, 8, 32, 32, 16, 16, mask=masks.parse("causal(align=top-left)"))


def test_the_constants_are_those_of_the_training():
    """What the host cannot import from the device half is the same there."""
    assert (training.STEPS, training.LEARNING_RATE) == (parity.STEPS, parity.LEARNING_RATE)


@pytest.mark.slow
def test_a_model_that_does_not_learn_is_shown(tmp_path: Path):
    """Status 1 with a mask that is one off, 0 with right attention; the losses are attnprobe's."""
    kernel = tmp_path / "kernel.py"
    kernel.write_text("from tests.mutation.masks import CausalOneAhead as attention\n")
    trial = Trial(CASE, f"{kernel}:attention", "training")
    found = Record(trial, answer(trial, lambda phase: None))
    assert isinstance(found.outcome, Measured)
    assert found.outcome.training is not None
    assert wrong(found)
    text = write(found)
    shown = executed(text)
    assert (shown["status"], "WRONG" in shown["printed"]) == (1, True), shown["printed"]
    ours = found.outcome.training.losses
    assert [round(float(x), 4) for x in shown["losses"]] == [round(x, 4) for x in ours]
    kernel.write_text("from tests.mutation.right import Plain as attention\n")
    mended = executed(text)
    assert mended["status"] == 0, mended["printed"]
