"""One phrase for what is wrong: trials that fail alike must give the same one."""

from __future__ import annotations

import pytest

from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, Refused
from attnprobe.core.parity import Failure, Parity
from attnprobe.core.trial import Record, Trial
from attnprobe.report.compose.symptoms import symptom

CASE = Case(1, 1, 1, 4, 4, 8, 8)


def record(*failures: Failure) -> Record:
    return Record(Trial(CASE, "b"), Measured("no mask", Parity("fail", "fused", failures=failures)))


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (
            Failure("accuracy", "dq is off by 2.49 times what unfused allows (element); error 1"),
            "dq is off by more than unfused allows",
        ),
        (
            Failure("empty_rows", "504 rows without keys hold NaN, not 0"),
            "rows without keys hold NaN, not 0",
        ),
        (Failure("nonfinite", "out holds 4 NaN of 9"), "NaN or inf where numbers belong"),
        (Failure("leak", "dv is not 0"), "leak: dv is not 0"),
        (Failure("accuracy", "out is off", "the scale is missing"), "the scale is missing"),
        (
            Failure("nonfinite", "out holds 4 NaN", "no hypothesis fits (3 tried)"),
            "NaN or inf where numbers belong",
        ),
    ],
)
def test_a_symptom_is_the_explanation_or_the_failure_without_numbers(
    failure: Failure, said: str
) -> None:
    """Numbers differ from trial to trial, what is wrong does not."""
    assert symptom(record(failure)) == said


def test_the_first_failure_counts() -> None:
    """What explains a later one alone would contradict it."""
    first, second = Failure("nonfinite", "out holds NaN"), Failure("accuracy", "dv", "dv is zero")
    assert symptom(record(first, second)) == "NaN or inf where numbers belong"


def test_nothing_recorded_is_said() -> None:
    """A failed trial without a reason is no blank line."""
    assert symptom(record()) == "no reason was recorded"
    assert (
        symptom(Record(Trial(CASE, "b"), Refused("library", ("no",)))) == "no reason was recorded"
    )
