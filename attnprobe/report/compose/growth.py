"""How time and memory grow over a sweep, and who overtakes whom along it."""

from __future__ import annotations

from attnprobe.core import units
from attnprobe.report.compose import reading
from attnprobe.report.compose.costs import ByCase
from attnprobe.report.compose.crossovers import Crossover, crossovers, leaders
from attnprobe.report.compose.scaling import Scaling, scalings
from attnprobe.report.compose.sweeps import Sweep
from attnprobe.report.document import (
    Block,
    Bullets,
    Column,
    Folded,
    Inline,
    Paragraph,
    Span,
    Table,
    code,
    line,
)


def growth(sweep: Sweep, by_case: ByCase) -> tuple[Block, ...]:
    """Exponents where a length was swept, crossovers where anything with an order was."""
    blocks: list[Block] = []
    found = scalings(sweep, by_case)
    if found:
        by_backend = reading.grouped(found, lambda scaling: scaling.backend)
        columns = (
            Column(f"growth with {sweep.field.name}"),
            Column("time exponent", "right"),
            Column("last step", "right"),
            Column("memory exponent", "right"),
            Column("does not count"),
        )
        rows = tuple(_row(name, same) for name, same in by_backend.items())
        blocks.append(Table(columns, rows))
    return (*blocks, *_crossovers(sweep, by_case))


def _row(backend: str, same: list[Scaling]) -> tuple[Inline, ...]:
    by_quantity = {scaling.quantity: scaling for scaling in same}
    time, memory = by_quantity.get("time"), by_quantity.get("memory")
    local = list(time.fit.local.values()) if time and time.fit else []
    reasons = reading.grouped(time.left_out if time else (), lambda text: text.partition(": ")[2])
    left_out = (
        f"{', '.join(text.partition(':')[0] for text in texts)}: {why}"
        for why, texts in reasons.items()
    )
    return (
        line(code(backend)),
        _exponent(time),
        line(units.number(local[-1]) if local else "-"),
        _exponent(memory),
        line("; ".join(left_out)),
    )


def _exponent(scaling: Scaling | None) -> Inline:
    if scaling is None:
        return line("-")
    if scaling.fit is None:
        return line(Span(scaling.withheld, "muted"))
    fit = scaling.fit
    return line(f"{fit.exponent:.2f} [{fit.low:.2f},{fit.high:.2f}]")


def _crossovers(sweep: Sweep, by_case: ByCase) -> list[Block]:
    """Those that a leader takes part in at once; all others folded."""
    first = {name for name, _, _ in leaders(sweep, by_case)}
    found = crossovers(sweep, by_case)
    told = [each for each in found if {each.below, each.above} <= first]
    rest = [each for each in found if each not in told]
    blocks: list[Block] = []
    if told:
        blocks += [Paragraph(line("Crossovers:")), Bullets(tuple(map(_crossover, told)))]
    if rest:
        items = Bullets(tuple(map(_crossover, rest)))
        blocks.append(Folded(f"Crossovers behind the fastest: {len(rest)}", (items,), long=True))
    return blocks


def _crossover(found: Crossover) -> Inline:
    name = found.sweep.field.name
    return line(
        code(found.above),
        " overtakes ",
        code(found.below),
        f" between {name}={found.low} and {name}={found.high}",
    )
