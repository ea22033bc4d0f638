"""Times, peaks and kernels of two sessions, trial by trial; what did not change is folded."""

from __future__ import annotations

import re

from attnprobe.compare.outcomes import MEMORY_BYTES, MEMORY_SHARE, RESIDENT_BYTES
from attnprobe.compare.records import Comparison, Pair, Speed
from attnprobe.core import units
from attnprobe.report.compose import reading
from attnprobe.report.compose.broken import cases
from attnprobe.report.compose.compare_summary import colour, percent
from attnprobe.report.compose.names import namer
from attnprobe.report.document import (
    Block,
    Bullets,
    Column,
    Folded,
    Heading,
    Inline,
    Note,
    Paragraph,
    Span,
    Table,
    code,
    codes,
    line,
)

_HOW = re.compile("[:,;]")
_PASSES = {"fwd_s": "fwd", "bwd_s": "bwd", "fwd_bwd_s": "fwd+bwd"}
Row = tuple[Pair, Speed]


def times(found: Comparison) -> tuple[Block, ...]:
    """What is slower, the most first; then what is faster; what cannot be told apart is folded."""
    rows = [(pair, speed) for pair in found.pairs for speed in pair.speeds]
    if not rows:
        return ()
    by_verdict = reading.grouped(rows, lambda row: row[1].verdict)
    slower = sorted(by_verdict.get("slower", []), key=lambda row: -round(row[1].ratio.median, 3))
    faster = sorted(by_verdict.get("faster", []), key=lambda row: round(row[1].ratio.median, 3))
    same = by_verdict.get("indistinguishable", [])
    blocks: list[Block] = [Heading("Time")]
    if slower or faster:
        blocks.append(_table(found, [*slower, *faster]))
    else:
        blocks.append(Paragraph(line("No time can be told from what it was.")))
    if same:
        blocks.append(Folded(f"Indistinguishable: {len(same)} times", (_table(found, same),)))
    return tuple(blocks)


def _table(found: Comparison, rows: list[Row]) -> Table:
    name = namer([pair.new for pair in found.pairs])
    columns = ("backend", "case", "dtype", "pass", "OLD", "NEW", "NEW/OLD", "change")
    numbers = ("OLD", "NEW", "NEW/OLD")
    return Table(
        tuple(Column(each, "right" if each in numbers else "left") for each in columns),
        tuple(
            (
                line(code(pair.new.trial.backend)),
                line(name(pair.new.trial.case)),
                line(reading.dtype(pair.new.trial.case)),
                line(_PASSES[speed.field]),
                line(units.seconds(speed.old_s)),
                line(units.seconds(speed.new_s)),
                line(_ratio(speed)),
                line(Span(_change(speed), colour(speed.verdict))),
            )
            for pair, speed in rows
        ),
    )


def _change(speed: Speed) -> str:
    """Verdict and size; the size alone where the heading has said that it means nothing."""
    size = percent(speed.ratio.median)
    return size if speed.verdict == "indistinguishable" else f"{speed.verdict}, {size}"


def _ratio(speed: Speed) -> str:
    ratio = speed.ratio
    return f"{ratio.median:.3f} [{ratio.low:.3f},{ratio.high:.3f}]"


def memory(found: Comparison) -> tuple[Block, ...]:
    """Peaks that moved, the most first."""
    known = [(pair, pair.memory) for pair in found.pairs if pair.memory is not None]
    moved = [(pair, peak) for pair, peak in known if peak.verdict != "same"]
    if not known:
        return ()
    resident = any("resident" in peak.how for _, peak in known)
    also = f" (resident sets: {units.size(RESIDENT_BYTES)})" if resident else ""
    beyond = f"more than {MEMORY_SHARE:.0%} and {units.size(MEMORY_BYTES)}{also}"
    if not moved:
        words = f"None of {len(known)} peaks moved by {beyond}."
        return (Heading("Memory"), Paragraph(line(words)))
    name = namer([pair.new for pair in found.pairs])
    moved.sort(key=lambda item: item[1].old - item[1].new)
    rows = tuple(
        (
            line(code(pair.new.trial.backend)),
            line(name(pair.new.trial.case)),
            line(reading.dtype(pair.new.trial.case)),
            line(units.size(peak.old)),
            line(units.size(peak.new)),
            line(
                Span(peak.verdict, "bad" if peak.verdict == "more" else "good"),
                _share(peak.old, peak.new),
            ),
            line(_HOW.split(peak.how)[0]),
        )
        for pair, peak in moved
    )
    names = ("backend", "case", "dtype", "OLD", "NEW", "verdict", "read from")
    columns = tuple(Column(each, "right" if each in ("OLD", "NEW") else "left") for each in names)
    caption = line(f"{len(moved)} of {len(known)} peaks moved by {beyond}.")
    return (Heading("Memory"), Table(columns, rows, caption))


def _share(old: int, new: int) -> str:
    return f", {percent(new / old)}" if old else ""


def kernels(found: Comparison) -> tuple[Block, ...]:
    """Where other kernels ran than before, once per backend and pair of kernels."""
    changed = [pair for pair in found.pairs if pair.kernels is not None]
    if not changed:
        return ()
    alike = reading.grouped(changed, lambda p: (p.new.trial.backend, p.kernels))
    rows: list[tuple[Inline, ...]] = []
    for (backend, ran), same in alike.items():
        assert ran is not None  # chosen above
        foreign = Span(f" {ran.foreign}", "weak") if ran.foreign else ""
        gone = codes(name for name in ran.old if name not in ran.new) or line("-")
        came = codes(name for name in ran.new if name not in ran.old) or line("-")
        where = line(cases([pair.new for pair in same]))
        rows.append((line(code(backend)), gone, line(*came, foreign), where))
    names = ("backend", "no longer runs", "runs now", "in")
    return (Heading("Kernels"), Table(tuple(map(Column, names)), tuple(rows)))


def gaps(found: Comparison) -> tuple[Block, ...]:
    """What is not compared, each reason once."""
    reasons = [(why, pair) for pair in found.pairs for why in pair.withheld]
    if not reasons:
        return ()
    alike = reading.grouped(reasons, lambda item: (item[1].new.trial.backend, item[0]))
    items = tuple(
        line(code(backend), f", {why} (", cases([pair.new for _, pair in same]), ")")
        for (backend, why), same in alike.items()
    )
    words = f"Not compared, for the reasons below: {units.counted(len(reasons), 'time')}."
    return (Note("note", line(words)), Folded("Not compared", (Bullets(items),)))
