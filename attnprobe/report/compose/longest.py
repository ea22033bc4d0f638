"""The longest sequence that fits, as far as the session searched for it."""

from __future__ import annotations

from dataclasses import dataclass

from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, Outcome, TimedOut
from attnprobe.core.report import Report
from attnprobe.core.trial import Record
from attnprobe.report.compose import reading
from attnprobe.report.compose.sweeps import FIELDS

_M, _MKV = FIELDS[0], FIELDS[1]


@dataclass(frozen=True)
class Longest:
    """What the search found for one backend.

    Args:
        case: The case at the longest length that ran, or at the shortest that was tried.
        backend: Who.
        field: M where queries and keys grow together, else Mkv.
        fits: The longest that ran; None when none did.
        fails: The shortest longer one that did not.
        peak_bytes: Memory at the longest that ran, over its inputs.
        ended: What became of the shortest that did not run.
    """

    case: Case
    backend: str
    field: str
    fits: int | None
    fails: int
    peak_bytes: int | None
    ended: Outcome

    @property
    def limited_by_time(self) -> bool:
        """True when a longer one was cut short before it could run out of memory."""
        return isinstance(self.ended, TimedOut)


def longest(report: Report) -> list[Longest]:
    """One per search; lengths that only ran and never failed are no search."""
    tried = [r for r in report.records if r.trial.question == "fits"]
    alike = reading.grouped(tried, _search)
    found = (_longest(same) for same in alike.values())
    return [each for each in found if each is not None]


def _search(record: Record) -> tuple[str, Case]:
    case = record.trial.case
    field = _M if case.Mq == case.Mkv else _MKV
    return record.trial.backend, field.blank(case)


def _longest(same: list[Record]) -> Longest | None:
    ran = [r for r in same if isinstance(r.outcome, Measured)]
    failed = [r for r in same if r not in ran and r.outcome.kind != "refused"]
    if not failed:
        return None
    first = min(failed, key=lambda r: r.trial.case.Mkv)
    ran = [r for r in ran if r.trial.case.Mkv < first.trial.case.Mkv]
    best = max(ran, key=lambda r: r.trial.case.Mkv, default=None)
    case = best.trial.case if best else first.trial.case
    timing = reading.timing(best) if best else None
    return Longest(
        case,
        first.trial.backend,
        "M" if case.Mq == case.Mkv else "Mkv",
        case.Mkv if best else None,
        first.trial.case.Mkv,
        timing.peak_bytes if timing else None,
        first.outcome,
    )
