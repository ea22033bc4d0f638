"""Makes the experiments of a session, the most valuable first, within a budget of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attnprobe.core.diagnosis import Subject, Suspicion
from attnprobe.core.trial import Record, Trial
from attnprobe.device import backends
from attnprobe.diagnosis import alternatives
from attnprobe.diagnosis.questions import by_value, paired, trials
from attnprobe.survey import Survey

Left = Callable[[], float]
"""Seconds that are left."""

_ROUNDS = 4


def keep(survey: Survey, calls: Sequence[Subject], found: Sequence[Suspicion]) -> None:
    """Writes down what is looked into and what is predicted, before anything runs."""
    for subject in calls:
        survey.journal.subject(subject)
    for suspicion in found:
        survey.journal.suspicion(suspicion)


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


def advise(survey: Survey, found: Sequence[Subject], left: Left) -> None:
    """Times every call with everybody who could make it, and asks of the fastest what is needed.

    Args:
        survey: The worker and the journal.
        found: The calls.
        left: Seconds that are left.
    """
    survey.require(backends.names())
    usable = survey.usable(backends.names())
    for wave in alternatives.timings(found, usable):
        survey.time("alternatives", wave, left(), _nothing_more)
    for _ in range(_ROUNDS):  # who turns out unfit makes room for the next
        asked = alternatives.further(survey.journal.report)
        if not asked or left() <= 0:
            return
        survey.time("alternatives, what is needed of them", asked, left(), _nothing_more)


def _nothing_more(record: Record) -> tuple[Trial, ...]:
    return ()
