"""Why a backend was not launched: every reason once, with the cases that it concerns."""

from __future__ import annotations

from collections.abc import Iterable

from attnprobe.core.outcome import Refused
from attnprobe.core.trial import Record
from attnprobe.report.compose.broken import cases
from attnprobe.report.document import Block, Column, Folded, Table, code, line

_BY = {
    "library": "the library",
    "attnprobe": "attnprobe",
    "memory": "the memory estimate",
    "broken": "the import",
}


def refusals(records: Iterable[Record]) -> tuple[Block, ...]:
    """A folded table of reasons; packages that are not installed are left out."""
    reasons: dict[tuple[str, str, str, str], list[Record]] = {}
    for record in records:
        match record.outcome:
            case Refused(by="absent"):
                continue
            case Refused(by=by, reasons=given, fix=fix):
                for reason in given or ("no reason given",):
                    key = (record.trial.backend, by, reason, fix)
                    reasons.setdefault(key, []).append(record)
            case _:
                continue
    if not reasons:
        return ()
    columns = (Column("backend"), Column("says no"), Column("because"), Column("to"))
    rows = tuple(
        (
            line(code(backend)),
            line(_BY.get(by, by)),
            line(reason, f" Fix: {fix}" if fix else ""),
            cases(same),
        )
        for (backend, by, reason, fix), same in reasons.items()
    )
    trials = len({r.trial.id for same in reasons.values() for r in same})
    summary = f"Refusals: {len(reasons)} reasons for {trials} trials"
    return (Folded(summary, (Table(columns, rows),)),)
