"""Is it right: the matrix, and behind it what each sign folds."""

from __future__ import annotations

from collections.abc import Callable

from attnprobe.core.case import Case
from attnprobe.core.report import Report
from attnprobe.core.trial import Record
from attnprobe.known_bugs import QUESTION
from attnprobe.report.compose import reading
from attnprobe.report.compose.backends import absent_everywhere
from attnprobe.report.compose.glyphs import (
    BROKEN,
    LEGEND_ORDER,
    NO_POWER,
    NOT_ASKED,
    REFUSED,
    REROUTED,
    RIGHT,
    UNCHECKED,
    WRONG,
    State,
    fold,
    state,
)
from attnprobe.report.compose.names import namer
from attnprobe.report.compose.wrong import wrong
from attnprobe.report.document import (
    Block,
    Column,
    Folded,
    Heading,
    Inline,
    Matrix,
    Note,
    Paragraph,
    Span,
    Table,
    code,
    line,
)

_ELSEWHERE = (QUESTION, "training")
"""Questions with a section of their own."""

_COUNTED: tuple[tuple[str, tuple[State, ...]], ...] = (
    ("right", (RIGHT,)),
    ("wrong", (WRONG,)),
    ("broken", (BROKEN,)),
    ("other kernel", (REROUTED,)),
    ("no evidence", (NO_POWER, UNCHECKED)),
    ("refused", (REFUSED,)),
)


def parity(report: Report) -> tuple[Block, ...]:
    """The check matrix, counts by dtype, and what is wrong, in timed trials too."""
    title, name = Heading("Is it right?"), namer(report.records)
    failed = wrong(report.records, name)
    absent = absent_everywhere(report)
    shown = [r for r in reading.checks(report) if r.trial.backend not in absent]
    if report.records and all(r.trial.question in _ELSEWHERE for r in report.records):
        return failed  # nothing was asked that the matrix could show
    if not shown and reading.experiments(report):
        return failed
    if not shown:
        return (title, Note("note", line("nothing was checked")), *failed)
    dtypes = ", ".join(dict.fromkeys(reading.dtype(r.trial.case) for r in shown))
    return (
        title,
        Paragraph(
            line(
                "Each trial is compared with a float64 reference, forward and gradients; the dtypes "
                f"({dtypes}) are folded into one sign."
            )
        ),
        _matrix(report, shown, name),
        Folded("What each case is", (_cases(shown, name),)),
        Folded("Counts by backend and dtype", (_counts(shown),)),
        *failed,
    )


def _matrix(report: Report, records: list[Record], name: Callable[[Case], str]) -> Matrix:
    asked = {r.trial.backend for r in records}
    columns = tuple(each for each in reading.backend_names(report) if each in asked)
    cells = reading.grouped(records, lambda r: (name(r.trial.case), r.trial.backend))
    states = {key: fold(state(r.outcome) for r in found) for key, found in cells.items()}
    rows = tuple(
        (row, tuple(states.get((row, column), NOT_ASKED).span for column in columns))
        for row in dict.fromkeys(row for row, _ in cells)
    )
    seen = set(states.values())
    legend = tuple((each.span, each.meaning) for each in LEGEND_ORDER if each in seen)
    return Matrix(columns, rows, legend)


def _cases(records: list[Record], name: Callable[[Case], str]) -> Table:
    shapes = {name(r.trial.case): reading.shape(r.trial.case) for r in records}
    rows = tuple((line(row), line(code(shape))) for row, shape in shapes.items())
    return Table((Column("case"), Column("what it is")), rows)


def _counts(records: list[Record]) -> Table:
    names = list(dict.fromkeys(r.trial.backend for r in records))
    by_backend = reading.grouped(records, lambda r: (r.trial.backend, reading.dtype(r.trial.case)))
    columns = (Column("backend"), Column("dtype"), *(Column(name, "right") for name, _ in _COUNTED))
    rows = tuple(
        (
            line(code(backend)),
            line(dtype),
            *(_count(len(reading.in_state(found, *states)), states[0]) for _, states in _COUNTED),
        )
        for (backend, dtype), found in sorted(
            by_backend.items(), key=lambda item: names.index(item[0][0])
        )
    )
    return Table(columns, rows)


def _count(number: int, counted: State) -> Inline:
    return line(Span(str(number), counted.tone) if number else Span(".", "muted"))
