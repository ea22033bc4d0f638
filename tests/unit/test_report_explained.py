"""What a reader is told of explanations: one line per cause, numbers, and what nothing explains."""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured
from attnprobe.core.parity import Failure, Parity
from attnprobe.core.report import Report
from attnprobe.core.trial import Record, Trial
from attnprobe.report import compose, terminal

CASES = [
    Case(1, 2, 2, 16, 16, 8, 8, dtype="float32", name="first"),
    Case(1, 2, 2, 17, 17, 8, 8, dtype="float32", name="second"),
]


def _text(*failures: Failure) -> str:
    records = tuple(
        Record(Trial(case, "mine"), Measured("", Parity("fail", "fused", failures=failures)))
        for case in CASES
    )
    return " ".join(terminal.text(compose.full(Report(records=records))).split())


def test_a_cause_is_one_line_with_all_that_it_explains() -> None:
    """Quantities and cases are gathered; the largest error before and after stands for all."""
    text = _text(
        Failure("accuracy", "m", "the scale is missing", "out", "", 50.0, 0.5),
        Failure("accuracy", "m", "the scale is missing", "dq", "", 90.0, 0.2),
    )
    assert text.count("explained by: the scale is missing") == 1
    assert "(out, dq in first (fp32), second (fp32); error / bound 90.0x, then 0.500x)" in text


def test_what_nothing_explains_is_said_with_its_place() -> None:
    """Never shown as an explanation."""
    where = "head 1 of 2 (256 of 512 elements)"
    text = _text(Failure("accuracy", "m", "no hypothesis fits (61 tried)", "dv", where, 50.0))
    assert f"no hypothesis fits: dv in first (fp32), second (fp32); dv is wrong in {where}" in text
    assert "explained by" not in text
