"""Every backend: what it claims beside what was seen."""

from __future__ import annotations

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.report import Report
from attnprobe.report.compose import reading
from attnprobe.report.compose.glyphs import ABSENT, FACTS, NOT_ASKED, RIGHT, fold
from attnprobe.report.document import (
    Block,
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


def backends(report: Report) -> tuple[Block, ...]:
    """Claim beside fact; what is not installed is one line, and reasons are folded by cause."""
    if not report.backends:
        return (Heading("Backends"), Note("note", line("no backend was asked")))
    absent = [f for f in report.backends if f.fact == "absent"]
    present = [f for f in report.backends if f.fact != "absent"]
    blocks: list[Block] = [Heading("Backends: claim beside fact")]
    if present:
        blocks.append(_table(present, reading.dtypes(report)))
    if absent:
        blocks.append(Paragraph(line("Not installed: ", *codes(f.name for f in absent))))
    if unfit := [f for f in present if f.reasons]:
        blocks.append(_reasons("Why not, and what to do", unfit))
    if missing := [f for f in absent if f.fix]:
        blocks.append(_reasons("How to install what is not there", missing))
    return tuple(blocks)


def _table(facts: list[BackendFact], dtypes: tuple[str, ...]) -> Table:
    columns = [Column(n) for n in ("backend", "version", "claim", "fact", *dtypes)]
    rows = (
        (
            line(code(f.name)),
            line(f.version),
            line(_claim(f)),
            _fact(f),
            *(_launches(f, dtype) for dtype in dtypes),
        )
        for f in facts
    )
    caption = (
        "fact: proven by launching a small case in a child process, forward and, where not said "
        "otherwise, backward. ",
        Span("≠", "bad"),
        " marks a fact that contradicts the claim.",
    )
    return Table(tuple(columns), tuple(rows), line(*caption))


def _claim(fact: BackendFact) -> str:
    return {True: "available", False: "not available", None: "-"}[fact.claim.available]


def _fact(fact: BackendFact) -> Inline:
    words = fact.fact.replace("_", " ")
    if reading.contradicts(fact):
        return line(Span("≠ ", "bad"), Span(words, "bad"))
    return line(Span(words, FACTS[fact.fact].tone))


def _launches(fact: BackendFact, dtype: str) -> Inline:
    mine = [each for each in fact.launches if reading.DTYPES.get(each.dtype, each.dtype) == dtype]
    states = {passes: FACTS[each.fact] for each in mine for passes in (each.passes,)}
    folded = fold(states.values())
    forward, both = states.get("fwd", NOT_ASKED), states.get("fwd+bwd", NOT_ASKED)
    if forward is RIGHT and both is not RIGHT:
        return line(RIGHT.span, " fwd" if both is NOT_ASKED else f" fwd, {both.glyph} bwd")
    return line(both.span if both is not NOT_ASKED else folded.span)


def _reasons(summary: str, facts: list[BackendFact]) -> Folded:
    causes = reading.grouped(facts, lambda f: (f.reasons, f.fix))
    rows = tuple(
        (codes(f.name for f in same), line("; ".join(reasons)), line(fix))
        for (reasons, fix), same in causes.items()
    )
    columns = (Column("backend"), Column("reason"), Column("fix"))
    return Folded(summary, (Table(columns, rows),))


def absent_everywhere(report: Report) -> frozenset[str]:
    """Backends that no trial found installed: they need no column."""
    by_backend = reading.grouped(report.records, lambda r: r.trial.backend)
    return frozenset(
        name
        for name, records in by_backend.items()
        if len(reading.in_state(records, ABSENT)) == len(records)
    )
