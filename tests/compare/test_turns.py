"""Two interpreters take turns: fairly, one at a time, and whatever one of them does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from attnprobe import upgrade
from attnprobe.compare import compare
from attnprobe.compare.ratios import turns_wanted
from attnprobe.core.outcome import Crashed, Measured, Outcome, OutOfMemory
from attnprobe.core.timing import Timing, Turn
from attnprobe.core.trial import Record, Trial
from attnprobe.errors import Interrupted
from tests.compare.sessions import CASE, REFUSED, WRONG, measured, report

FWD = CASE.edit(passes="fwd")


class Child:
    """What a worker's child does when asked for a turn; keeps who was asked when.

    Args:
        name: OLD or NEW.
        heard: What both children heard, in order.
        answers: The outcome of each turn, by how many came before it.
    """

    def __init__(self, name, heard, answers):
        self.name, self.heard, self.answers, self.asked = name, heard, answers, 0

    def ask(self, trial: Trial, deadline_s: float) -> Record:
        self.heard.append((self.name, trial.backend))
        assert trial.question == "turn"
        outcome: Outcome = self.answers(self.asked)
        self.asked += 1
        return Record(trial, outcome)

    def retire(self) -> None:
        self.heard.append((self.name, "retired"))


def took(seconds: float) -> Measured:
    return Measured("form", timing=Timing(turns=(Turn(0, seconds),)))


def run(old, new, before=None, **options):
    """Turns of both with the trials of `before`; the two reports, and what the children heard."""
    before = before or ({"a": measured()}, {"a": measured()})
    reports = [report(outcomes, FWD) for outcomes in before]
    heard: list[tuple[str, str]] = []
    children = [Child("OLD", heard, old), Child("NEW", heard, new)]
    sides = [
        upgrade.Side(c.name, c.ask, c.retire, {r.trial.id: r for r in known.records})
        for c, known in zip(children, reports, strict=True)
    ]
    taken = upgrade.take_turns(*sides, lambda *told: None, **options)
    finished = [
        replace(known, records=tuple({**side.records, **{r.trial.id: r for r in new}}.values()))
        for known, side, new in zip(reports, sides, (taken.old, taken.new), strict=True)
    ]
    return finished, heard, taken


def test_the_same_is_the_same():
    """A/A: turns of equal length."""
    (old, new), _, _ = run(lambda turn: took(1e-3), lambda turn: took(1e-3))
    speed = compare(old, new).pairs[0].speeds[0]
    assert (speed.paired, speed.verdict) == (True, "indistinguishable")


def test_what_moves_both_sides_alike_cancels():
    """A machine that is ten times as slow in some turns hides no 3%."""
    slow = lambda turn: 10.0 if turn % 3 == 0 else 1.0  # noqa: E731 - a table in words
    (old, new), _, _ = run(
        lambda turn: took(1e-3 * slow(turn)), lambda turn: took(1.03e-3 * slow(turn))
    )
    speed = compare(old, new).pairs[0].speeds[0]
    assert speed.verdict == "slower"
    assert speed.ratio.median == pytest.approx(1.03)


def test_every_turn_has_fresh_children_and_both_sides():
    """Both are asked in each turn, in an order that changes, and ended after it."""
    _, heard, _ = run(lambda turn: took(1e-3), lambda turn: took(1e-3))
    wanted = turns_wanted(1)
    turns = [heard[i : i + 4] for i in range(0, len(heard), 4)]
    assert len(turns) == wanted
    for turn in turns:
        assert {name for name, what in turn[:2] if what == "a"} == {"OLD", "NEW"}
        assert turn[2:] == [("OLD", "retired"), ("NEW", "retired")]
    assert len({turn[0][0] for turn in turns}) == 2


def test_more_trials_take_more_turns():
    """The family decides how many turns it takes to tell anything."""
    one = run(lambda turn: took(1e-3), lambda turn: took(1e-3))[1]
    many = {name: measured() for name in "abcdefgh"}
    (old, new), heard, _ = run(
        lambda turn: took(1e-3), lambda turn: took(1e-3), before=(many, many)
    )
    assert heard.count(("OLD", "retired")) > one.count(("OLD", "retired"))
    found = compare(old, new)
    assert found.ratios == 8
    assert all(speed.paired for pair in found.pairs for speed in pair.speeds)


def test_a_failed_turn_ends_the_trial_and_says_why():
    """A crash in NEW's third turn: no ratio, its reason, and no further turns."""
    crash = Crashed("forward", "SIGSEGV")
    (old, new), heard, _ = run(
        lambda turn: took(1e-3), lambda turn: crash if turn == 2 else took(1e-3)
    )
    pair = compare(old, new).pairs[0]
    assert pair.speeds == ()
    assert "NEW failed in turn 3: crashed in forward: killed by SIGSEGV" in pair.withheld[0]
    assert heard.count(("NEW", "a")) == 3


def test_memory_that_the_other_holds_is_asked_for():
    """Out of memory: the other child is ended, and the turn is taken after all."""
    full = OutOfMemory("forward", "no")
    (old, new), heard, _ = run(
        lambda turn: took(1e-3), lambda turn: full if turn == 0 else took(1e-3)
    )
    assert compare(old, new).pairs[0].speeds[0].verdict == "indistinguishable"
    first = heard.index(("NEW", "a"))
    assert heard[first + 1 : first + 3] == [("OLD", "retired"), ("NEW", "a")]


def test_turns_that_are_taken_again_forget_why_they_failed():
    """A run that is gone on with judges by its own turns, not by those that failed before."""
    failed = measured(withheld=("turns: NEW failed in turn 1: crashed",))
    (old, new), _, _ = run(
        lambda turn: took(1e-3), lambda turn: took(1e-3), before=({"a": failed}, {"a": failed})
    )
    assert len(compare(old, new).pairs[0].speeds) == 1


def test_what_is_wrong_or_refused_takes_no_turns():
    """Only what both timed and got right is worth turns."""
    before = (
        {"a": measured(), "b": measured(), "c": measured()},
        {"a": measured(parity=WRONG), "b": REFUSED, "c": measured()},
    )
    _, heard, _ = run(lambda turn: took(1e-3), lambda turn: took(1e-3), before=before)
    assert {what for _, what in heard} == {"c", "retired"}


def test_an_interrupt_keeps_the_turns_that_were_taken():
    """Ctrl-C in the fourth turn: three are in the records, and too few are said to be."""

    def interrupted(turn: int) -> Outcome:
        if turn == 3:
            raise KeyboardInterrupt
        return took(1e-3)

    (old, new), _, taken = run(interrupted, lambda turn: took(1e-3))
    assert isinstance(taken.interrupted, Interrupted)
    assert [len(r.outcome.timing.turns) for r in taken.old] == [3]
    assert "3 turns were taken" in compare(old, new).pairs[0].withheld[0]


def test_a_spent_budget_is_noted():
    """No turn is begun once the time is over, and that is said."""
    _, heard, taken = run(lambda turn: took(1e-3), lambda turn: took(1e-3), budget_s=0.0)
    assert heard == []
    assert taken.notes[0].startswith("0 of ")


def test_the_sampling_of_a_turn_keeps_the_cache():
    """A warm trial takes warm turns."""
    asked: list[Trial] = []

    def ask(trial: Trial, deadline_s: float) -> Record:
        asked.append(trial)
        return Record(trial, took(1e-3))

    warm = Trial(FWD, "a", "time", replace(Trial(FWD, "a").sampling, warm=True))
    records = {warm.id: Record(warm, measured())}
    sides = [upgrade.Side(name, ask, lambda: None, records) for name in ("OLD", "NEW")]
    upgrade.take_turns(*sides, lambda *told: None)
    assert {(trial.sampling.warm, trial.sampling.budget_s) for trial in asked} == {
        (True, upgrade.TURN_S)
    }
