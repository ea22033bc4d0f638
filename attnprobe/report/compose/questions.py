"""What was asked beyond accuracy, and how it was answered: a test report."""

from __future__ import annotations

from attnprobe.core.outcome import Measured
from attnprobe.core.report import Report
from attnprobe.core.trial import Record
from attnprobe.report.compose import reading
from attnprobe.report.compose.broken import cases
from attnprobe.report.compose.glyphs import (
    BROKEN,
    NO_POWER,
    REFUSED,
    REROUTED,
    RIGHT,
    UNCHECKED,
    WRONG,
    State,
)
from attnprobe.report.document import (
    Block,
    Column,
    Folded,
    Heading,
    Inline,
    Paragraph,
    Span,
    Table,
    codes,
    line,
)

_COUNTED: tuple[tuple[str, tuple[State, ...]], ...] = (
    ("passed", (RIGHT, REROUTED)),
    ("failed", (WRONG,)),
    ("broken", (BROKEN,)),
    ("no power", (NO_POWER,)),
    ("nothing to say", (UNCHECKED,)),
    ("refused", (REFUSED,)),
)


def questions(report: Report) -> tuple[Block, ...]:
    """Each question's counts and who failed it; nothing where only accuracy was asked."""
    experiments = reading.experiments(report)
    if not experiments:
        return ()
    by_question = reading.grouped(
        (*reading.checks(report), *experiments), lambda r: r.trial.question
    )
    columns = (
        Column("question"),
        *(Column(name, "right") for name, _ in _COUNTED),
        Column("failed by"),
    )
    rows = tuple(_row(name, found) for name, found in by_question.items())
    return (
        Heading("What was asked"),
        Paragraph(line("`check` compares with the reference; the others are experiments.")),
        Table(columns, rows),
        *_unsaid(experiments),
    )


def _row(question: str, records: list[Record]) -> tuple[Inline, ...]:
    failed = reading.in_state(records, WRONG)
    counts = ((len(reading.in_state(records, *states)), states[0].tone) for _, states in _COUNTED)
    return (
        line(question),
        *(line(Span(str(n), tone) if n else Span(".", "muted")) for n, tone in counts),
        codes(dict.fromkeys(r.trial.backend for r in failed)) if failed else line("-"),
    )


def _unsaid(records: tuple[Record, ...]) -> tuple[Block, ...]:
    """Why experiments said nothing."""
    silent = [
        (r, r.outcome.parity.unsaid)
        for r in records
        if isinstance(r.outcome, Measured) and r.outcome.parity and r.outcome.parity.unsaid
    ]
    if not silent:
        return ()
    causes = reading.grouped(silent, lambda found: (found[0].trial.question, found[1]))
    rows = tuple(
        (line(question), line(why), line(cases([r for r, _ in same])))
        for (question, why), same in causes.items()
    )
    columns = (Column("question"), Column("why nothing is said"), Column("in"))
    return (Folded(f"Experiments that say nothing: {len(silent)}", (Table(columns, rows),)),)
