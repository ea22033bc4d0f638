"""One case and all its backends: time, share of the limit, memory; then the ratios to a rival."""

from __future__ import annotations

from collections.abc import Sequence

from attnprobe.core import units
from attnprobe.core.outcome import Measured
from attnprobe.core.timing import Duration, Ratio, Timing
from attnprobe.report.compose import reading
from attnprobe.report.compose.costs import Cost
from attnprobe.report.compose.glyphs import (
    NO_POWER,
    REROUTED,
    RIGHT,
    UNCHECKED,
    WRONG,
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
    Tone,
    code,
    line,
)

_VERDICTS = {
    RIGHT: "right",
    REROUTED: "other kernel",
    NO_POWER: "no evidence",
    UNCHECKED: "unchecked",
    WRONG: "wrong",
}
PASSES = (("fwd", "fwd_s"), ("bwd", "bwd_s"), ("fwd+bwd", "fwd_bwd_s"))
_TONES: dict[str, Tone] = {"faster": "good", "slower": "weak", "indistinguishable": "plain"}


def one_case(same: Sequence[Cost]) -> tuple[Block, ...]:
    """Its tables; kernels and rates are folded. Why others were not timed, the refusals say."""
    case = same[0].case
    measured = [cost for cost in same if isinstance(cost.record.outcome, Measured)]
    blocks: list[Block] = [
        Heading(f"{reading.case_name(case)} ({reading.dtype(case)})", 3),
        Paragraph(line(Span(case.label, "muted", code=True), _least(measured))),
    ]
    if measured:
        blocks.append(_table(measured))
        blocks += _versus(measured)
        blocks.append(Folded("Kernels that ran, rates, first calls", (_details(measured),)))
    return tuple(blocks)


def _least(measured: Sequence[Cost]) -> str:
    whole = [cost for cost in measured if not cost.forward_alone]
    floors = {cost.memory.floor_bytes for cost in whole if cost.memory.floor_bytes}
    operations = {cost.timing.flops for cost in measured if cost.timing.flops}
    parts = [f"least memory {units.size(min(floors))}"] if floors else []
    parts += [f"forward {units.operations(max(operations))}"] if operations else []
    return f"; {', '.join(parts)}" if parts else ""


def _table(measured: Sequence[Cost]) -> Table:
    passes = [p for p in PASSES if any(getattr(cost.timing, p[1]) for cost in measured)]
    bound = any(cost.duration and cost.duration.launch_bound for cost in measured)
    numbers = [f"{name} ms" for name, _ in passes] + ["±"] + ["wall ms"] * bound
    columns = (
        Column("backend"),
        Column("verdict"),
        *(Column(name, "right") for name in numbers),
        Column("of limit"),
        Column("peak", "right"),
        Column("x least", "right"),
    )
    rows = tuple(_row(cost, [field for _, field in passes], bound) for cost in measured)
    caption = (
        line("wall ms: launch-bound, a loop of such calls takes this long each") if bound else ()
    )
    return Table(columns, rows, caption)


def _row(cost: Cost, fields: Sequence[str], bound: bool) -> tuple[Inline, ...]:
    tone: Tone = "muted" if cost.state is WRONG else "plain"
    duration = cost.duration or cost.timing.fwd_s
    wall = duration.wall_s if duration and duration.launch_bound else None
    cells = [milliseconds(getattr(cost.timing, field)) for field in fields]
    cells.append(f"{100 * duration.half_width:.1f}%" if duration else "-")
    if bound:
        cells.append("" if wall is None else units.number(1e3 * wall))
    return (
        line(code(cost.backend)),
        verdict(cost),
        *(line(Span(text, tone)) for text in cells),
        line(_limit(duration)),
        *(line(Span(text, tone)) for text in _memory(cost.memory)),
    )


def verdict(cost: Cost) -> Inline:
    """Glyph and word for what the parity of this very case says."""
    found = cost.state
    alone = ", forward only" if cost.forward_alone else ""
    outcome = cost.record.outcome
    parity = outcome.parity if isinstance(outcome, Measured) else None
    part = f", {parity.queries} queries" if parity and parity.queries else ""
    return line(Span(f"{found.glyph} {_VERDICTS[found]}{alone}{part}", found.tone))


def milliseconds(found: Duration | None) -> str:
    """A median without its unit; a dash where there is none."""
    return "-" if found is None else units.number(1e3 * found.median)


def _limit(found: Duration | None) -> str:
    if found is None or found.roofline_share is None:
        return "-"
    return f"{units.share(found.roofline_share)} {found.bound}"


def _memory(found: Timing) -> tuple[str, str]:
    if found.peak_bytes is None:
        return "-", ""
    if not found.floor_bytes:
        return units.size(found.peak_bytes), ""
    return units.size(found.peak_bytes), units.factor(found.peak_bytes / found.floor_bytes)


def _versus(measured: Sequence[Cost]) -> list[Block]:
    """Ratios of times, both backends in the same rounds."""
    compared = [cost for cost in measured if cost.versus]
    rivals = dict.fromkeys(cost.versus.rival for cost in compared if cost.versus)
    if not rivals:
        return []
    fields = ("fwd", "bwd", "fwd_bwd")
    used = [f for f in fields if any(getattr(cost.versus, f) for cost in compared)]
    columns = (
        Column(f"time against {', '.join(rivals)}"),
        *(Column(field.replace("_", "+"), "right") for field in used),
        Column(""),
    )
    rows = tuple(
        (line(code(cost.backend)), *(_ratio(getattr(cost.versus, f)) for f in used), _word(cost))
        for cost in compared
    )
    words = "ratio of times [95% interval], both in the same rounds; below 1 is faster"
    return [Table(columns, rows, line(words))]


def _ratio(found: Ratio | None) -> Inline:
    return line("-" if found is None else units.interval(found.median, found.low, found.high))


def ratio(cost: Cost) -> Ratio | None:
    """The ratio of the pass by which the case is ranked."""
    if cost.versus is None:
        return None
    passes = cost.record.trial.case.passes
    return {"fwd": cost.versus.fwd, "bwd": cost.versus.bwd, "fwd+bwd": cost.versus.fwd_bwd}[passes]


def _word(cost: Cost) -> Inline:
    found = ratio(cost)
    if found is None:
        return line(Span("; ".join(cost.versus.withheld) if cost.versus else "", "muted"))
    return line(Span(found.verdict, _TONES[found.verdict]))


def _details(measured: Sequence[Cost]) -> Table:
    columns = (
        Column("backend"),
        Column("TFLOP/s", "right"),
        Column("first call", "right"),
        Column("mask as"),
        Column("kernels"),
    )
    return Table(columns, tuple(_detail(cost) for cost in measured))


def _detail(cost: Cost) -> tuple[Inline, ...]:
    assert isinstance(cost.record.outcome, Measured)  # chosen by the caller
    duration = cost.duration or cost.timing.fwd_s
    rate = "-" if duration is None or duration.tflops is None else units.number(duration.tflops)
    first = cost.timing.first_call_s
    other = f" {cost.unexpected_kernel}." if cost.unexpected_kernel else ""
    return (
        line(code(cost.backend)),
        line(rate),
        line("-" if first is None else units.seconds(first)),
        line(cost.record.outcome.form),
        line(code(_some(cost.kernels)), Span(other, "weak") if other else ""),
    )


def _some(kernels: Sequence[str], most: int = 4) -> str:
    """The first of them; the JSON has all."""
    if not kernels:
        return "not seen"
    rest = len(kernels) - most
    return ", ".join(kernels[:most]) + (f" and {rest} more" if rest > 0 else "")
