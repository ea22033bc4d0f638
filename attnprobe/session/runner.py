"""Runs trials one after the other and keeps every record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from attnprobe.core import units
from attnprobe.core.trial import Record, Trial
from attnprobe.errors import Interrupted
from attnprobe.session.asking import Asks, FollowUp, answers
from attnprobe.session.journal import Journal

Progress = Callable[[int, int, Record, float], None]
"""Called after every trial with: done, total, the record, and the seconds that are likely left."""

DEADLINE_S = 60.0


def never(record: Record) -> bool:
    """No record ends the run."""
    return False


def _nothing_further(record: Record) -> tuple[Trial, ...]:
    return ()


def run(
    trials: Iterable[Trial],
    workers: Asks | Sequence[Asks],
    journal: Journal,
    progress: Progress | None = None,
    *,
    what: str = "trials",
    deadline_s: float = DEADLINE_S,
    budget_s: float | None = None,
    follow_up: FollowUp = _nothing_further,
    enough: Callable[[Record], bool] = never,
) -> list[Record]:
    """Runs what the journal does not hold yet; returns the records of all trials, as far as they exist.

    Trials of one case follow each other, whatever their order, because a child keeps a case's inputs
    and reference.

    Args:
        trials: What to run; duplicates run once.
        workers: Who runs them: one, or several side by side.
        journal: Where every record goes at once.
        progress: Told of every record.
        what: What the trials are called in a note about those that were not run.
        deadline_s: Seconds that one trial may take.
        budget_s: Seconds after which no further trial is begun; the journal notes how many were not.
        follow_up: What else is asked after a record, and after the records of that.
        enough: Whether a record ends the run; the journal notes how many trials were not begun.

    Raises:
        Interrupted: Ctrl-C; the journal holds everything that was measured.
        UnusableHost: Trials cannot run on this machine.
    """
    crew = workers if isinstance(workers, Sequence) else (workers,)
    wanted = {trial.id: trial for trial in trials}
    earlier = journal.done
    wanted |= _raised_by(earlier, wanted, follow_up)
    done = {key: earlier[key] for key in wanted if key in earlier}
    missing = by_case([trial for key, trial in wanted.items() if key not in done])
    if missing:
        for worker in crew:
            worker.require_torch()
    if missing and budget_s is not None and budget_s <= 0:
        journal.note(_cut(len(wanted) - len(done), len(wanted), what, 0.0))
        missing = []
    began = time.monotonic()
    found = answers(missing, crew, deadline_s, follow_up)
    try:
        for count, record in enumerate(found, start=1):
            journal.record(record)
            wanted.setdefault(record.trial.id, record.trial)
            done[record.trial.id] = record
            spent, left = time.monotonic() - began, len(wanted) - len(done)
            if progress is not None:
                progress(len(done), len(wanted), record, spent / count * left)
            if left > 0 and enough(record):
                journal.note(
                    f"stopped at the first failure: {left} of {len(wanted)} {what} not run"
                )
                break
            if budget_s is not None and spent >= budget_s and left > 0:
                journal.note(_cut(left, len(wanted), what, budget_s))
                break
    except KeyboardInterrupt:
        journal.note(f"interrupted after {len(done)} of {len(wanted)} trials")
        raise Interrupted(
            f"interrupted after {len(done)} of {len(wanted)} trials",
            why="everything measured so far is kept",
            fix="the same command with --resume runs the rest",
        ) from None
    finally:
        found.close()
    return [done[key] for key in wanted if key in done]


def _cut(left: int, total: int, what: str, budget_s: float) -> str:
    return f"{left} of {total} {what} not run: {units.seconds(max(budget_s, 0.0))} were over"


def _raised_by(
    earlier: Mapping[str, Record], wanted: Mapping[str, Trial], follow_up: FollowUp
) -> dict[str, Trial]:
    """What earlier records of these trials, and of those that they raised, still want to know."""
    found: dict[str, Trial] = {}
    heard = [earlier[key] for key in wanted if key in earlier]
    for record in heard:
        for trial in follow_up(record):
            if trial.id not in found:
                found[trial.id] = trial
                heard += [earlier[trial.id]] if trial.id in earlier else []
    return found


def by_case(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Trials grouped by case, cases in order of their first trial."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.case.id, []).append(trial)
    return list(groups.values())
