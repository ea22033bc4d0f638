"""An experiment does not exist unless its arms are exactly one edit apart."""

from __future__ import annotations

import pytest

from attnprobe.core.case import Case
from attnprobe.core.diagnosis import Arm, Confounded, Experiment, Prediction, edits

CASE = Case(2, 8, 8, 512, 512, 64, 64)
ARM = Arm(CASE, "sdpa-default")


@pytest.mark.parametrize(
    ("other", "names"),
    [
        (Arm(CASE.edit(dtype="float32"), "sdpa-default"), ("dtype",)),
        (Arm(CASE, "sdpa-math"), ("backend",)),
        (Arm(CASE.edit(K=72, Kv=72), "sdpa-default"), ("K",)),
        (Arm(CASE.edit(Mq=1024, Mkv=1024), "sdpa-default"), ("Mq",)),
        (Arm(CASE.edit(Hq=16, Hkv=16), "sdpa-default"), ("Hq",)),
    ],
)
def test_one_edit(other: Arm, names: tuple[str, ...]) -> None:
    """What is one dimension and stays one on both sides is one edit."""
    assert edits(ARM, other) == names
    Experiment(ARM, other)


@pytest.mark.parametrize(
    "other",
    [
        ARM,
        Arm(CASE.edit(name="another label"), "sdpa-default"),
        Arm(CASE.edit(dtype="float32"), "sdpa-math"),
        Arm(CASE.edit(Mq=1, Mkv=1024), "sdpa-default"),
        Arm(CASE.edit(Kv=128, K=72), "sdpa-default"),
    ],
)
def test_none_or_two_edits_are_refused(other: Arm) -> None:
    """A difference with two causes shows neither of them."""
    with pytest.raises(Confounded):
        Experiment(ARM, other)


def test_the_remedy_too_is_one_edit_away() -> None:
    """Else its gain is not that of the fix."""
    control = Arm(CASE.edit(dtype="float32"), "sdpa-default")
    with pytest.raises(Confounded, match="remedy"):
        Experiment(ARM, control, Arm(CASE.edit(dtype="float16"), "sdpa-math"))


def test_an_empty_interval_is_no_prediction() -> None:
    """2 to 1 predicts nothing."""
    with pytest.raises(ValueError, match="empty"):
        Prediction("time", 2, 1, "")
