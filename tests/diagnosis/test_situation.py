"""What a rule is told of a call."""

from __future__ import annotations

import pytest

from attnprobe.core.case import Case, Lengths
from attnprobe.core.diagnosis import Subject, edits
from attnprobe.diagnosis.situation import Situation
from tests.unit.fake_machine import MACHINE


def situation(case: Case, backend: str = "sdpa-default") -> Situation:
    subject = Subject(case, backend)
    return Situation(subject, (subject,), "cuda", MACHINE)


@pytest.mark.parametrize(("Mq", "Mkv"), [(8192, 8192), (1, 4096), (100, 100)])
def test_a_small_arm_is_one_short_sequence_of_the_call(Mq: int, Mkv: int) -> None:
    """Heads, dtype and all else stay; a packed call becomes a plain one."""
    lengths = Lengths((Mq,) * 4, (Mkv,) * 4, "packed")
    case = Case(4, 8, 2, Mq, Mkv, 64, 64, dtype="float16", lengths=lengths)
    arm = situation(case).small("written/something")
    assert arm.case == Case(1, 8, 2, min(Mq, 256), min(Mkv, 256), 64, 64, dtype="float16")
    assert not arm.case.problems


def test_two_small_arms_are_one_edit_apart() -> None:
    """Which is what an experiment wants."""
    here = situation(Case(4, 8, 2, 8192, 8192, 64, 64))
    assert edits(here.small("written/one"), here.small("mended/one")) == ("backend",)


@pytest.mark.parametrize(
    ("backend", "family", "expected"),
    [("flex-eager", "flex", True), ("flexible", "flex", False), ("flex", "flex", True)],
)
def test_a_family_is_a_name_or_the_beginning_of_names(
    backend: str, family: str, expected: bool
) -> None:
    """Up to a hyphen."""
    assert situation(Case(1, 1, 1, 8, 8, 8, 8), backend).calls(family) is expected
