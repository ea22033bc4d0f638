"""Two sessions side by side: what differs in their environments, the verdict, then every change."""

from __future__ import annotations

from attnprobe.compare.records import Comparison, Difference
from attnprobe.core import units
from attnprobe.core.report import Report
from attnprobe.report.compose.compare_outcomes import outcomes
from attnprobe.report.compose.compare_summary import summary
from attnprobe.report.compose.compare_times import gaps, kernels, memory, times
from attnprobe.report.document import (
    Block,
    Bullets,
    Column,
    Document,
    Folded,
    Heading,
    Note,
    Paragraph,
    Span,
    Table,
    code,
    line,
)

_FOLDED = ("library ", "torch build")
_PER_SIDE = 8
"""Trials that one side alone ran, by name; the JSON has them all."""


def compare(found: Comparison) -> Document:
    """All of it, for a terminal or a ticket."""
    return Document(
        (
            Heading("attnprobe compare", 1),
            *_environment(found),
            *summary(found),
            *outcomes(found),
            *times(found),
            *memory(found),
            *kernels(found),
            *_alone(found),
            *gaps(found),
            *_notes(found),
        )
    )


def _environment(found: Comparison) -> tuple[Block, ...]:
    heading = Heading("What differs in the environment")
    if found.old.environment is None or found.new.environment is None:
        return (heading, Note("warning", line("It was not recorded in both sessions.")))
    if not found.differences:
        return (heading, Paragraph(line("Nothing that attnprobe records.")))
    plain = [d for d in found.differences if not d.what.startswith(_FOLDED)]
    folded = [d for d in found.differences if d.what.startswith(_FOLDED)]
    blocks: list[Block] = [heading]
    blocks += [_differences(plain)] if plain else []
    if folded:
        blocks.append(Folded(f"Libraries and build ({len(folded)})", (_differences(folded),)))
    return tuple(blocks)


def _differences(found: list[Difference]) -> Table:
    none = Span("none", "muted")
    rows = tuple((line(d.what), line(d.old or none), line(d.new or none)) for d in found)
    return Table((Column("what"), Column("OLD"), Column("NEW")), rows)


def _alone(found: Comparison) -> tuple[Block, ...]:
    sides = (("OLD", found.only_old), ("NEW", found.only_new))
    items = tuple(
        line(
            f"{units.counted(len(records), 'trial')} only in {side}: ",
            *_named([f"{r.trial.backend} {r.trial.case.label}" for r in records]),
        )
        for side, records in sides
        if records
    )
    return (Heading("Not in both", 3), Bullets(items)) if items else ()


def _named(names: list[str]) -> tuple[Span, ...]:
    rest = len(names) - _PER_SIDE
    shown = [span for name in names[:_PER_SIDE] for span in (Span("; "), code(name))][1:]
    return (*shown, Span(f"; and {rest} more")) if rest > 0 else tuple(shown)


def _notes(found: Comparison) -> tuple[Block, ...]:
    items = tuple(
        line(f"{side}: {note}")
        for side, report in (("OLD", found.old), ("NEW", found.new))
        for note in (_origin(report), *report.notes)
    )
    return (Folded("What the sessions say of themselves", (Bullets(items),)),)


def _origin(report: Report) -> str:
    """When and how a session was made."""
    command = f"attnprobe {report.command} {report.workload}".strip()
    return f"{command}, seed {report.seed}, started {report.started or 'at an unknown time'}"
