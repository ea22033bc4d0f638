"""A backend that hangs again and again is not waited for any longer."""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, Outcome, Refused, TimedOut
from attnprobe.core.trial import Record, Trial
from attnprobe.session.patience import IN_A_ROW, Patience

CASE = Case(B=1, Hq=1, Hkv=1, Mq=8, Mkv=8, K=8, Kv=8)
HUNG = TimedOut("forward", 5.0)


def asked(patience: Patience, name: str, *outcomes: Outcome) -> list[str]:
    """The kinds of the records when a backend would answer with these outcomes."""
    found = []
    for outcome in outcomes:
        trial = Trial(CASE, name)
        record = patience.ask(trial, lambda trial, _, o=outcome: Record(trial, o))
        found.append(record.outcome.kind)
    return found


def test_after_three_hangs_the_rest_is_not_run() -> None:
    """And the reason says so; other backends are asked as ever."""
    patience = Patience(5.0)
    assert asked(patience, "mine", *[HUNG] * IN_A_ROW) == ["timed_out"] * IN_A_ROW
    assert asked(patience, "mine", Measured("form"), HUNG) == ["refused", "refused"]
    assert asked(patience, "other", HUNG, Measured("form")) == ["timed_out", "measured"]
    record = patience.ask(Trial(CASE, "mine"), lambda trial, _: Record(trial, HUNG))
    assert isinstance(record.outcome, Refused)
    assert record.outcome.by == "attnprobe"
    assert "took longer than 5 s" in record.outcome.reasons[0]


def test_a_result_in_between_forgives() -> None:
    """Two slow cases and a fast one are no hang; a refusal is no result."""
    patience = Patience(5.0)
    refused = Refused("library", ("no",))
    fine = [HUNG, HUNG, Measured("form"), HUNG, HUNG]
    assert asked(patience, "mine", *fine)[-1] == "timed_out"
    assert asked(patience, "mine", refused, HUNG, HUNG) == ["refused", "timed_out", "refused"]
