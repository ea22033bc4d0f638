"""Is it right: the matrix, and every failure with its numbers."""

from __future__ import annotations

from collections.abc import Iterable

from attnprobe.core import units
from attnprobe.core.case import Case
from attnprobe.core.mask import NONE
from attnprobe.core.outcome import Measured
from attnprobe.core.parity import QUANTITIES, Parity, Quantity
from attnprobe.core.report import Report
from attnprobe.core.score import Score
from attnprobe.core.trial import Record
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
from attnprobe.report.document import (
    Block,
    Bullets,
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

_COUNTED: tuple[tuple[str, tuple[State, ...]], ...] = (
    ("right", (RIGHT,)),
    ("wrong", (WRONG,)),
    ("broken", (BROKEN,)),
    ("other kernel", (REROUTED,)),
    ("no evidence", (NO_POWER, UNCHECKED)),
    ("refused", (REFUSED,)),
)


def parity(report: Report) -> tuple[Block, ...]:
    """The check matrix, counts by dtype, and what is wrong."""
    records = reading.checks(report)
    if not records:
        return (Heading("Is it right?"), Note("note", line("nothing was checked")))
    absent = absent_everywhere(report)
    shown = [r for r in records if r.trial.backend not in absent]
    return (
        Heading("Is it right?"),
        Paragraph(
            line(
                "Each trial is compared with a float64 reference, forward and gradients; the dtypes "
                f"({', '.join(reading.dtypes(report))}) are folded into one sign."
            )
        ),
        _matrix(report, shown),
        Folded("Counts by backend and dtype", (_counts(shown),)),
        *wrong(records),
    )


def _matrix(report: Report, records: list[Record]) -> Matrix:
    asked = {r.trial.backend for r in records}
    columns = tuple(name for name in reading.backend_names(report) if name in asked)
    cells = reading.grouped(records, lambda r: (_whatever_the_dtype(r.trial.case), r.trial.backend))
    states = {key: fold(state(r.outcome) for r in found) for key, found in cells.items()}
    rows = tuple(
        (name, tuple(states.get((case, column), NOT_ASKED).span for column in columns))
        for case, name in _row_names(dict.fromkeys(case for case, _ in cells)).items()
    )
    seen = set(states.values())
    legend = tuple((each.span, each.meaning) for each in LEGEND_ORDER if each in seen)
    return Matrix(columns, rows, legend)


def _whatever_the_dtype(case: Case) -> Case:
    return case.edit(dtype="", seed=0)


def _row_names(cases: Iterable[Case]) -> dict[Case, str]:
    """The name of each case; where two share one, with as much of the shape as tells them apart."""
    names: dict[Case, str] = {}
    for name, same in reading.grouped(cases, reading.case_name).items():
        for plain, alike in reading.grouped(same, _without_mask).items():
            for case in alike:
                shape = plain if len(alike) == 1 else reading.shape(case)
                names[case] = name if len(same) == 1 else f"{name} ({shape})"
    return names


def _without_mask(case: Case) -> str:
    return reading.shape(case.edit(mask=NONE, score=Score()))


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


def wrong(records: Iterable[Record]) -> tuple[Block, ...]:
    """Every failed comparison, by backend, with the numbers that a maintainer needs."""
    failed = reading.grouped(reading.in_state(records, WRONG), lambda r: r.trial.backend)
    if not failed:
        return ()
    explained = Paragraph(
        line(
            "error / bound is the error over the largest one that the contract allows; 1 is the "
            "limit. The level says where it is largest: one element, a group's RMS, or a common gain."
        )
    )
    blocks = (each for backend, found in failed.items() for each in _wrong_backend(backend, found))
    return (Heading("Wrong results", 3), explained, *blocks)


def _wrong_backend(backend: str, records: list[Record]) -> tuple[Block, ...]:
    judged = [(r, _parity(r)) for r in records]
    contracts = ", ".join(dict.fromkeys(p.contract for _, p in judged if p.contract))
    met = ", ".join(dict.fromkeys(p.numerics_class or "none" for _, p in judged))
    title = Paragraph(
        line(
            Span("✗ ", "bad"),
            Span(backend, "strong", code=True),
            f": {len(records)} wrong. Held to the contract {contracts or '(none)'}; it meets {met}.",
        )
    )
    rows = [
        (r, name, p.quantities[name])
        for r, p in judged
        for name in sorted(p.quantities, key=_quantity_order)
        if p.quantities[name].verdict == "fail"
    ]
    table = (_numbers(rows),) if rows else ()
    said = dict.fromkeys(_sentence(r, p, i) for r, p in judged for i in range(len(p.failures)))
    bullets = (Bullets(tuple(said)),) if said else ()
    return (title, *table, *bullets)


def _quantity_order(name: str) -> int:
    return QUANTITIES.index(name) if name in QUANTITIES else len(QUANTITIES)


def _numbers(rows: list[tuple[Record, str, Quantity]]) -> Table:
    columns = (
        Column("case"),
        Column("dtype"),
        Column("of"),
        Column("error / bound", "right"),
        Column("level"),
        Column("relative error", "right"),
        Column("worst at"),
        Column("trial"),
    )
    worst_first = sorted(rows, key=lambda row: -_rank(row[2].ratio))
    return Table(columns, tuple(_number(*row) for row in worst_first))


def _number(record: Record, name: str, quantity: Quantity) -> tuple[Inline, ...]:
    nonfinite = f"{quantity.nonfinite:,} not finite" if quantity.nonfinite else ""
    return (
        line(reading.case_name(record.trial.case)),
        line(reading.dtype(record.trial.case)),
        line(name),
        line(Span(units.factor(quantity.ratio), "bad")),
        line(nonfinite or quantity.level),
        line(units.relative(quantity.relative_error)),
        line(",".join(map(str, quantity.worst_index))),
        line(code(record.trial.id)),
    )


def _rank(ratio: float) -> float:
    return ratio if ratio == ratio else float("inf")


def _sentence(record: Record, judged: Parity, index: int) -> Inline:
    failure = judged.failures[index]
    where = f"{failure.kind} in {reading.case_name(record.trial.case)}: {failure.message}"
    hypothesis = failure.hypothesis and f"; explained by: {failure.hypothesis}"
    return line(where, Span(hypothesis, "strong") if hypothesis else "")


def _parity(record: Record) -> Parity:
    outcome = record.outcome
    if isinstance(outcome, Measured) and outcome.parity:
        return outcome.parity
    raise ValueError(f"trial {record.trial.id} was not compared")
