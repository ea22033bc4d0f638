"""Why a backend was not launched: every reason once, with the cases that it concerns."""

from __future__ import annotations

from collections.abc import Iterable

from attnprobe.core.outcome import Refused
from attnprobe.core.trial import Record
from attnprobe.report.compose.broken import REFUSED_BY, cases
from attnprobe.report.document import Block, Column, Folded, Table, codes, line


def refusals(records: Iterable[Record]) -> tuple[Block, ...]:
    """A folded table of reasons; packages that are missing or broken are listed elsewhere."""
    reasons: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        match record.outcome:
            case Refused(by=by, reasons=given, fix=fix) if by not in ("absent", "broken"):
                for reason in given or ("no reason given",):
                    words = f"{REFUSED_BY[by]}: {reason}"
                    reasons.setdefault((words, fix), []).append(record)
    if not reasons:
        return ()
    columns = (Column("backend"), Column("why not"), Column("in"))
    most_first = sorted(reasons.items(), key=lambda item: -len(item[1]))
    rows = tuple(
        (
            codes(dict.fromkeys(r.trial.backend for r in same)),
            line(words, f". Fix: {fix}" if fix else ""),
            line(cases(same)),
        )
        for (words, fix), same in most_first
    )
    trials = len({r.trial.id for same in reasons.values() for r in same})
    summary = f"Refusals: {len(reasons)} reasons, {trials} trials"
    return (Folded(summary, (Table(columns, rows),)),)
