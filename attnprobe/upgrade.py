"""Two interpreters on one machine take turns with every trial, so that only what they run differs.

Times of two sessions that were taken one after the other differ by what happened in between. Here
every turn has a fresh process of each interpreter, a trial's two sides follow each other at once and in
random order, and only the ratios within a turn count.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from attnprobe.compare.outcomes import standing
from attnprobe.compare.ratios import turns_wanted
from attnprobe.compare.speeds import TURNS
from attnprobe.core import units
from attnprobe.core.outcome import Measured, Outcome, OutOfMemory, Refused
from attnprobe.core.sampling import Sampling
from attnprobe.core.timing import Turn
from attnprobe.core.trial import Record, Trial
from attnprobe.errors import Interrupted
from attnprobe.report.compose.broken import describe
from attnprobe.session.runner import by_case

TURN_S = 0.1
"""Seconds of one turn of a trial, all passes together. Many short turns say more than few long ones:
what one process repeats cannot tell how another one would have fared."""

_DEADLINE_S = 60.0
_PASSES = {"fwd": 1, "bwd": 1, "fwd+bwd": 3}

Progress = Callable[[int, int, Record, float], None]
"""Called after every turn of a trial with: done, total, the record, and the seconds likely left."""


@dataclass(frozen=True)
class Side:
    """One of the two interpreters, what it measured before, and the turns that it takes.

    Args:
        name: OLD or NEW.
        ask: Puts a trial to its child (`Worker.trial`).
        retire: Ends its child, so that the next question goes to a fresh one.
        records: What it measured, by trial id.
        turns: Its turns, by trial id.
    """

    name: str
    ask: Callable[[Trial, float], Record]
    retire: Callable[[], None]
    records: Mapping[str, Record]
    turns: dict[str, list[Turn]] = field(default_factory=dict)


@dataclass(frozen=True)
class Taken:
    """What came of taking turns.

    Args:
        old: OLD's records with their turns.
        new: NEW's.
        notes: What the reader must know.
        interrupted: Ctrl-C ended it early; to be raised once everything is kept.
    """

    old: tuple[Record, ...]
    new: tuple[Record, ...]
    notes: tuple[str, ...] = ()
    interrupted: Interrupted | None = None


def take_turns(
    old: Side,
    new: Side,
    progress: Progress,
    *,
    seed: int = 0,
    budget_s: float | None = None,
) -> Taken:
    """Both take turns with every trial that both have timed; never do both compute at once.

    There are as many turns as it takes to tell differences from chance for all trials together
    (compare/ratios.py). A trial that fails in a turn takes no more of them.

    Args:
        old: One interpreter.
        new: The other.
        progress: Told of every turn of a trial.
        seed: Seed of the order within turns.
        budget_s: Seconds after which no turn is begun.
    """
    trials = [trial for group in by_case(_timed_by_both(old, new)) for trial in group]
    wanted = turns_wanted(sum(_PASSES[trial.case.passes] for trial in trials))
    began, order = time.monotonic(), random.Random(seed)
    lost: dict[str, str] = {}
    notes: list[str] = []
    interrupted = None
    try:
        for number in range(wanted):
            spent = time.monotonic() - began
            if budget_s is not None and spent >= budget_s:
                notes.append(
                    f"{number} of {wanted} turns taken: {units.seconds(max(budget_s, 0))} were over"
                )
                break
            for index, trial in enumerate(trials):
                if trial.id in lost:
                    continue
                sides = order.sample((old, new), 2)
                record, why = _both(sides, trial, number)
                if why:
                    lost[trial.id] = why
                done, total = number * len(trials) + index + 1, wanted * len(trials)
                left = (time.monotonic() - began) / done * (total - done)
                progress(done, total, record, left)
            for side in (old, new):
                side.retire()
    except KeyboardInterrupt:
        notes.append(f"interrupted in turn {number + 1} of {wanted}")
        interrupted = Interrupted(
            f"interrupted in turn {number + 1} of {wanted}",
            why="everything measured so far is kept, the turns too",
            fix="`attnprobe compare` reads the two sessions as they are",
        )
    run = secrets.token_hex(6)
    finished = [tuple(_with_turns(side, t, run, lost) for t in trials) for side in (old, new)]
    return Taken(finished[0], finished[1], tuple(notes), interrupted)


def _timed_by_both(old: Side, new: Side) -> list[Trial]:
    """Trials with times that mean something on both sides: not those of a wrong result."""
    return [
        old.records[key].trial
        for key in old.records
        if key in new.records and _is_timed(old.records[key]) and _is_timed(new.records[key])
    ]


def _is_timed(record: Record) -> bool:
    outcome = record.outcome
    timed = isinstance(outcome, Measured) and outcome.timing is not None
    return timed and record.trial.question == "time" and standing(outcome) != "wrong"


def _both(sides: list[Side], trial: Trial, number: int) -> tuple[Record, str]:
    """One turn of both sides with a trial; the last record, and why the turn does not count."""
    sampling = Sampling(budget_s=TURN_S, warm=trial.sampling.warm)
    asked = replace(trial, question="turn", sampling=sampling)
    found: list[Turn] = []
    for side, other in zip(sides, reversed(sides), strict=True):
        record = side.ask(asked, _DEADLINE_S)
        if _lacks_memory(record.outcome):
            other.retire()  # it may hold what is lacking: torch keeps what it has freed
            record = side.ask(asked, _DEADLINE_S)
        outcome = record.outcome
        timing = outcome.timing if isinstance(outcome, Measured) else None
        if timing is None or not timing.turns:
            return record, f"{side.name} failed in turn {number + 1}: {describe(outcome)}"
        found.append(replace(timing.turns[0], number=number))
    for side, turn in zip(sides, found, strict=True):
        side.turns.setdefault(trial.id, []).append(turn)
    return record, ""


def _lacks_memory(outcome: Outcome) -> bool:
    return isinstance(outcome, OutOfMemory) or (
        isinstance(outcome, Refused) and outcome.by == "memory"
    )


def _with_turns(side: Side, trial: Trial, run: str, lost: Mapping[str, str]) -> Record:
    """The record that was made before, with the turns that came after it."""
    record = side.records[trial.id]
    outcome = record.outcome
    assert isinstance(outcome, Measured)  # _is_timed has looked
    assert outcome.timing is not None
    withheld = tuple(why for why in outcome.timing.withheld if not why.startswith(TURNS))
    if trial.id in lost:
        withheld += (f"{TURNS}{lost[trial.id]}",)
    timing = replace(
        outcome.timing,
        turns=tuple(side.turns.get(trial.id, ())),
        turns_of=run,
        withheld=withheld,
    )
    return replace(record, outcome=replace(outcome, timing=timing))
