"""Rows without keys under the convention that a backend declares."""

from __future__ import annotations

from dataclasses import replace

import pytest

from attnprobe.core.case import Case, Lengths
from attnprobe.core.mask import Mask
from attnprobe.core.outcome import Measured
from attnprobe.core.trial import Trial
from attnprobe.device import backends, reference
from attnprobe.device.answer import answer
from attnprobe.device.inputs import make
from attnprobe.device.numerics.conventions import judge_under
from attnprobe.device.subject import Subject

WIDE = Case(1, 2, 2, 9, 5, 8, 8, "float32", mask=Mask(None, 0, "bottom-right"))


@pytest.mark.parametrize(("name", "convention"), [("eager", "nan"), ("mha-need-weights", "nan")])
def test_a_declared_convention_is_no_failure_and_is_said(name: str, convention: str) -> None:
    """A plain softmax of a row without keys is NaN: that is what it is, not what is wrong with it."""
    outcome = answer(Trial(WIDE, name), lambda phase: None)
    assert isinstance(outcome, Measured)
    assert outcome.parity is not None
    assert (outcome.parity.verdict, outcome.parity.empty_rows) == ("pass", convention)
    assert "gradients are not judged" in outcome.parity.unsaid


def test_an_undeclared_convention_is_a_failure() -> None:
    """Whoever promises zeros is held to them."""
    inputs, subject = make(WIDE), Subject(backends.load("eager"), WIDE)
    outputs = subject.run(inputs)
    parity = judge_under("zero", outputs, inputs, reference.compute(inputs), "unfused")
    assert "empty_rows" in {failure.kind for failure in parity.failures}


def test_other_rows_are_still_judged() -> None:
    """NaN in the empty rows excuses nothing in the rows that have keys."""
    inputs, subject = make(WIDE), Subject(backends.load("eager"), WIDE)
    outputs = subject.run(inputs)
    wrong = outputs.out.clone()
    wrong[:, :, -1] *= 1.1
    parity = judge_under(
        "nan", replace(outputs, out=wrong), inputs, reference.compute(inputs), "unfused"
    )
    assert parity.verdict == "fail"


def test_gradients_are_judged_where_every_row_has_keys() -> None:
    """The excuse ends where the convention does not show."""
    outcome = answer(Trial(WIDE.edit(Mq=5), "eager"), lambda phase: None)
    assert isinstance(outcome, Measured)
    assert outcome.parity is not None
    assert "dk" in outcome.parity.quantities


PACKED = Case(
    2, 2, 2, 9, 9, 8, 8, "float32", lengths=Lengths((9, 4), (9, 4), "packed", tail=3)
)  # fmt: skip


@pytest.mark.parametrize("question", ["check", "mask-decode", "determinism"])
def test_a_tail_that_belongs_to_nobody_is_no_failure_of_a_plain_softmax(question: str) -> None:
    """The tail's rows are NaN, and 0 * NaN reaches every gradient: said, not blamed."""
    outcome = answer(Trial(PACKED, "eager", question), lambda phase: None)
    assert isinstance(outcome, Measured)
    assert outcome.parity is not None
    assert not outcome.parity.failures
    assert "convention" in outcome.parity.unsaid


def test_a_tail_is_decoded_as_nothing() -> None:
    """Queries behind the last sequence attend nobody, whatever a kernel leaves there."""
    outcome = answer(Trial(PACKED, "sdpa-math", "mask-decode"), lambda phase: None)
    assert isinstance(outcome, Measured)
    assert outcome.parity is not None
    assert outcome.parity.verdict == "pass"
