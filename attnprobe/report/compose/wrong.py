"""Every failed comparison with its numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attnprobe.core import units
from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured
from attnprobe.core.parity import QUANTITIES, Failure, Parity, Quantity
from attnprobe.core.trial import Record
from attnprobe.report.compose import reading
from attnprobe.report.compose.explained import explained
from attnprobe.report.compose.glyphs import WRONG
from attnprobe.report.document import (
    Block,
    Bullets,
    Column,
    Folded,
    Heading,
    Inline,
    Paragraph,
    Span,
    Table,
    code,
    line,
)

_SHOWN = 12  # rows per backend before the rest is folded


def wrong(records: Iterable[Record], name: Callable[[Case], str]) -> tuple[Block, ...]:
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
    blocks = (each for backend, found in failed.items() for each in _backend(backend, found, name))
    return (Heading("Wrong results", 3), explained, *blocks)


def _backend(backend: str, records: list[Record], name: Callable[[Case], str]) -> tuple[Block, ...]:
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
        (p.quantities[of].ratio, _number(r, name(r.trial.case), of, p.quantities[of]))
        for r, p in judged
        for of in sorted(p.quantities, key=_order)
        if p.quantities[of].verdict == "fail"
    ]
    worst_first = tuple(row for _, row in sorted(rows, key=lambda row: -_rank(row[0])))
    said = dict.fromkeys(
        _sentence(name(r.trial.case), failure)
        for r, p in judged
        for failure in p.failures
        if not (rows and failure.kind == "accuracy")  # the table has it
    )
    causes = explained([(r, p.failures) for r, p in judged], name)
    return (title, *_numbers(worst_first), *_sentences(causes), *_sentences(tuple(said)))


def _order(name: str) -> int:
    return QUANTITIES.index(name) if name in QUANTITIES else len(QUANTITIES)


def _numbers(rows: tuple[tuple[Inline, ...], ...]) -> tuple[Block, ...]:
    names = ("case", "dtype", "of", "error / bound", "level", "relative error", "worst at", "trial")
    columns = tuple(Column(n, "right" if "error" in n else "left") for n in names)
    first, rest = rows[:_SHOWN], rows[_SHOWN:]
    shown = (Table(columns, first),) if first else ()
    more = (Folded(f"{len(rest)} more", (Table(columns, rest),)),) if rest else ()
    return (*shown, *more)


def _sentences(said: tuple[Inline, ...]) -> tuple[Block, ...]:
    first, rest = said[:_SHOWN], said[_SHOWN:]
    shown = (Bullets(first),) if first else ()
    more = (Folded(f"{len(rest)} more", (Bullets(rest),)),) if rest else ()
    return (*shown, *more)


def _number(record: Record, case: str, of: str, quantity: Quantity) -> tuple[Inline, ...]:
    nonfinite = f"{quantity.nonfinite:,} not finite" if quantity.nonfinite else ""
    return (
        line(case),
        line(reading.dtype(record.trial.case)),
        line(of),
        line(Span(units.factor(quantity.ratio), "bad")),
        line(nonfinite or quantity.level),
        line(units.relative(quantity.relative_error)),
        line(",".join(map(str, quantity.worst_index))),
        line(code(record.trial.id)),
    )


def _rank(ratio: float) -> float:
    return ratio if ratio == ratio else float("inf")


def _sentence(case: str, failure: Failure) -> Inline:
    said = f"{failure.kind} in {case}: {failure.message}"
    if not failure.hypothesis or failure.of:  # those that speak of a quantity are grouped
        return line(said)
    return line(f"{said}; explained by: ", Span(failure.hypothesis, "strong"))


def _parity(record: Record) -> Parity:
    outcome = record.outcome
    if isinstance(outcome, Measured) and outcome.parity:
        return outcome.parity
    raise ValueError(f"trial {record.trial.id} was not compared")
