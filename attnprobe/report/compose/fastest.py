"""The fastest right backend of every timed case, one row each, with what stands in its way."""

from __future__ import annotations

from attnprobe.core import units
from attnprobe.report.compose import reading
from attnprobe.report.compose.costs import ByCase, Cost
from attnprobe.report.compose.costs import fastest as best_of
from attnprobe.report.compose.glyphs import RIGHT, WRONG
from attnprobe.report.compose.names import namer
from attnprobe.report.document import Block, Column, Folded, Inline, Span, Table, code, line

MOST = 40
"""Rows; further cases are folded."""


def fastest(by_case: ByCase, wrong: set[str]) -> tuple[Block, ...]:
    """The table; nothing where nothing was timed.

    Args:
        by_case: The cases that get a row.
        wrong: Backends that are wrong anywhere in the session.
    """
    named = namer(cost.record for same in by_case.values() for cost in same)
    rows = tuple(_choice(named(case), same, wrong) for case, same in by_case.items())
    names = ("timed case", "dtype", "fastest right", "pass", "ms", "peak", "remark")
    columns = tuple(Column(n, "right" if n in ("ms", "peak") else "left") for n in names)
    blocks: list[Block] = [Table(columns, rows[:MOST])] if rows else []
    if len(rows) > MOST:
        further = Table(columns, rows[MOST:])
        blocks.append(Folded(f"{len(rows) - MOST} further cases", (further,), long=True))
    return tuple(blocks)


def _choice(name: str, same: list[Cost], wrong: set[str]) -> tuple[Inline, ...]:
    case, best = same[0].case, best_of(same)
    head = (line(name), line(reading.dtype(case)))
    if best is None or best.duration is None:
        return (*head, line(Span("none", "bad")), line(case.passes), line("-"), line("-"), line())
    duration, peak = best.duration, best.memory.peak_bytes
    return (
        *head,
        line(code(best.backend)),
        line(case.passes),
        line(units.milliseconds(duration.median, duration.low, duration.high)),
        line("-" if peak is None else units.size(peak)),
        _remark(best, same, wrong),
    )


def _remark(best: Cost, same: list[Cost], wrong: set[str]) -> Inline:
    mine = best.duration
    assert mine is not None  # it was chosen by it
    parts = ["wrong in other cases"] if best.backend in wrong else []
    rivals = [(other, other.duration) for other in same if other is not best and other.duration]
    as_fast = [
        other.backend
        for other, theirs in rivals
        if other.state is RIGHT and theirs.low <= mine.high
    ]
    parts += [f"as fast: {', '.join(as_fast)}"] if as_fast else []
    for other, theirs in rivals:
        if other.backend == "sdpa-default" and theirs.low > mine.high:
            parts.append(f"sdpa-default takes {units.factor(theirs.median / mine.median)}")
        if other.state is WRONG and theirs.median < mine.median:
            parts.append(f"faster but wrong: {other.backend}")
    return line("; ".join(parts))
