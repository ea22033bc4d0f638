"""Runs trials one after the other and keeps every record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from attnprobe.core.trial import Record, Trial
from attnprobe.errors import Interrupted
from attnprobe.session.journal import Journal

Progress = Callable[[int, int, Record, float], None]
"""Called after every trial with: done, total, the record, and the seconds that are likely left."""

DEADLINE_S = 60.0


class Asks(Protocol):
    """What a session needs of a worker (worker.host.Worker; tests have a fake)."""

    def require_torch(self) -> None:
        """Raises UnusableHost when trials cannot run."""
        ...

    def trial(self, trial: Trial, deadline_s: float) -> Record:
        """One trial and what became of it."""
        ...


def run(
    trials: Iterable[Trial],
    worker: Asks,
    journal: Journal,
    progress: Progress | None = None,
    *,
    deadline_s: float = DEADLINE_S,
    budget_s: float | None = None,
) -> list[Record]:
    """Runs what the journal does not hold yet; returns the records of all trials, as far as they exist.

    Trials of one case follow each other, whatever their order, because the child keeps a case's
    inputs and reference.

    Args:
        trials: What to run; duplicates run once.
        worker: Who runs them.
        journal: Where every record goes at once.
        progress: Told of every record.
        deadline_s: Seconds that one trial may take.
        budget_s: Seconds after which no further trial is begun; the journal notes how many were not.

    Raises:
        Interrupted: Ctrl-C; the journal holds everything that was measured.
        UnusableHost: Trials cannot run on this machine.
    """
    wanted = {trial.id: trial for trial in trials}
    done = {key: record for key, record in journal.done.items() if key in wanted}
    missing = by_case([trial for key, trial in wanted.items() if key not in done])
    if missing:
        worker.require_torch()
    began = time.monotonic()
    try:
        for count, trial in enumerate(missing, start=1):
            if budget_s is not None and time.monotonic() - began >= budget_s:
                left = len(missing) - count + 1
                journal.note(f"{left} of {len(wanted)} trials not run: {budget_s:g} s were over")
                break
            record = worker.trial(trial, deadline_s)
            journal.record(record)
            done[trial.id] = record
            if progress is not None:
                each = (time.monotonic() - began) / count
                progress(len(done), len(wanted), record, each * (len(missing) - count))
    except KeyboardInterrupt:
        journal.note(f"interrupted after {len(done)} of {len(wanted)} trials")
        raise Interrupted(
            f"interrupted after {len(done)} of {len(wanted)} trials",
            why="everything measured so far is kept",
            fix="the same command with --resume runs the rest",
        ) from None
    return [done[key] for key in wanted if key in done]


def by_case(trials: Sequence[Trial]) -> list[Trial]:
    """Trials of one case behind each other, cases in order of their first trial."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.case.id, []).append(trial)
    return [trial for group in groups.values() for trial in group]
