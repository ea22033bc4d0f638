"""Makes the experiments of a session, the most valuable first, within a budget of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attnprobe.core.diagnosis import Suspicion
from attnprobe.core.trial import Record, Trial
from attnprobe.diagnosis.questions import by_value, paired, trials
from attnprobe.survey import Survey

Left = Callable[[], float]
"""Seconds that are left."""


def make(survey: Survey, found: Sequence[Suspicion], left: Left) -> None:
    """Runs what the suspicions ask; the journal keeps every record.

    Arms that several rules share are run once. Within the budget the experiments come in the order of
    their worth per second; what is not run is noted.

    Args:
        survey: The worker and the journal.
        found: What is suspected.
        left: Seconds that are left.
    """
    wanted = [trial for suspicion in by_value(found) for trial in trials(suspicion)]
    if not wanted:
        return
    survey.require({trial.backend for trial in wanted})
    survey.time("experiments", wanted, left(), _nothing_more)
    records = {record.trial.id: record for record in survey.journal.report.records}
    in_turns = paired(found, records)
    if in_turns:
        survey.time("experiments, in turns", in_turns, left(), _nothing_more)


def _nothing_more(record: Record) -> tuple[Trial, ...]:
    return ()
