"""The longest sequence that fits, backend by backend."""

from __future__ import annotations

from attnprobe.core import units
from attnprobe.core.report import Report
from attnprobe.report.compose import reading
from attnprobe.report.compose.broken import describe
from attnprobe.report.compose.longest import Longest, longest
from attnprobe.report.document import (
    Block,
    Column,
    Heading,
    Inline,
    Paragraph,
    Span,
    Table,
    code,
    line,
)


def max_length(report: Report) -> tuple[Block, ...]:
    """One table per case, the longest first; nothing where it was not searched for."""
    found = longest(report)
    if not found:
        return ()
    by_case = reading.grouped(found, lambda each: (each.case.name, _without(each)))
    blocks: list[Block] = [
        Heading("Longest sequence that fits"),
        Paragraph(
            line(
                "Searched by doubling and halving, inputs included; what ran need not be right. "
                "At a length between the two columns nothing was tried."
            )
        ),
    ]
    for same in by_case.values():
        ordered = sorted(same, key=lambda each: -(each.fits or 0))
        title = f"{same[0].case.name or 'case'} ({reading.dtype(same[0].case)})"
        columns = (
            Column(title),
            Column(f"ran at {same[0].field}", "right"),
            Column("not at", "right"),
            Column("peak there", "right"),
            Column("because"),
        )
        mixed = len({each.case.passes for each in same}) > 1
        blocks.append(Table(columns, tuple(_row(each, mixed) for each in ordered)))
    return tuple(blocks)


def _without(found: Longest) -> str:
    return found.case.edit(Mq=0, Mkv=0, lengths=None, passes="fwd+bwd").label


def _row(found: Longest, mixed: bool) -> tuple[Inline, ...]:
    alone = " (forward)" if mixed and found.case.passes == "fwd" else ""
    peak = "-" if found.peak_bytes is None else units.size(found.peak_bytes)
    why = describe(found.ended).split(". ")[0]
    return (
        line(code(found.backend), alone),
        line("-" if found.fits is None else f"{found.fits:,}"),
        line(f"{found.fails:,}"),
        line(peak),
        line(Span(why, "weak" if found.limited_by_time else "muted")),
    )
