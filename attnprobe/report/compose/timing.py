"""What each case costs: right backends by time first, wrong ones behind them as wrong."""

from __future__ import annotations

from attnprobe.core import units
from attnprobe.core.outcome import Measured
from attnprobe.core.report import Report
from attnprobe.core.timing import Duration, Timing
from attnprobe.core.trial import Record
from attnprobe.report.compose import reading
from attnprobe.report.compose.broken import describe
from attnprobe.report.compose.glyphs import (
    ABSENT,
    BROKEN,
    NO_POWER,
    REFUSED,
    REROUTED,
    RIGHT,
    UNCHECKED,
    WRONG,
    state,
)
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
_RANKS = (RIGHT, REROUTED, NO_POWER, UNCHECKED, WRONG, BROKEN, REFUSED, ABSENT)


def timing(report: Report) -> tuple[Block, ...]:
    """One table per timed case, with the parity verdict of that very case beside every number."""
    records = reading.timed(report)
    if not records:
        return (Heading("What it costs"), Note("note", line("nothing was timed")))
    by_case = reading.grouped(records, lambda r: r.trial.case)
    blocks = [block for same in by_case.values() for block in _case(same)]
    return (
        Heading("What it costs"),
        Paragraph(
            line(
                "Median [95% interval of the median]; bwd is measured alone; peak is memory over the "
                "inputs. The verdict is of the very case that was timed."
            )
        ),
        *blocks,
    )


def ranked(records: list[Record]) -> list[Record]:
    """Right ones first and fastest first; what was not measured last."""
    return sorted(records, key=lambda r: (_RANKS.index(state(r.outcome)), _time(r)))


def fastest(records: list[Record]) -> Record | None:
    """The fastest backend that is right; None when no right one was timed."""
    right = [r for r in ranked(records) if state(r.outcome) is RIGHT and reading.cost(r)]
    return right[0] if right else None


def _time(record: Record) -> float:
    cost = reading.cost(record)
    return cost.median if cost else float("inf")


def _case(records: list[Record]) -> tuple[Block, ...]:
    case = records[0].trial.case
    measured = [r for r in ranked(records) if isinstance(r.outcome, Measured)]
    others = [r for r in ranked(records) if state(r.outcome) in (BROKEN, REFUSED)]
    blocks: list[Block] = [
        Heading(f"{reading.case_name(case)} ({reading.dtype(case)})", 3),
        Paragraph(line(Span(case.label, "muted", code=True), *_floor(measured))),
    ]
    if measured:
        blocks.append(_durations(measured))
        blocks.append(Folded("Kernels that ran, rates and gaps", (_kernels(measured),)))
    if others:
        rows = tuple((line(code(r.trial.backend)), line(describe(r.outcome))) for r in others)
        untimed = Table((Column("backend"), Column("why it was not timed")), rows)
        blocks.append(Folded(f"Not timed: {len(others)} backends", (untimed,)))
    return tuple(blocks)


def _floor(records: list[Record]) -> Inline:
    floors = {t.floor_bytes for r in records if (t := reading.timing(r)) and t.floor_bytes}
    clocks = dict.fromkeys(t.clock for r in records if (t := reading.timing(r)) and t.clock)
    least = f". Least memory any implementation needs: {units.size(min(floors))}" if floors else ""
    return line(least, f". Clock: {'; '.join(clocks)}" if clocks else "")


def _durations(records: list[Record]) -> Table:
    names = ("fwd ms", "bwd ms", "fwd+bwd ms", "peak", "first call")
    columns = (Column("backend"), Column("verdict"), *(Column(n, "right") for n in names))
    return Table(columns, tuple(_row(r) for r in records))


def _row(record: Record) -> tuple[Inline, ...]:
    found = state(record.outcome)
    cost = reading.timing(record) or Timing()
    first = "" if cost.first_call_s is None else units.seconds(cost.first_call_s)
    tone: Tone = "muted" if found is WRONG else "plain"
    numbers = (_duration(cost.fwd_s), _duration(cost.bwd_s), _duration(cost.fwd_bwd_s))
    return (
        line(code(record.trial.backend)),
        line(Span(f"{found.glyph} {_VERDICTS[found]}", found.tone)),
        *(line(Span(text, tone)) for text in (*numbers, _peak(cost), first)),
    )


def _duration(found: Duration | None) -> str:
    return "-" if found is None else units.milliseconds(found.median, found.low, found.high)


def _peak(cost: Timing) -> str:
    if cost.peak_bytes is None:
        return "-"
    if not cost.floor_bytes:
        return units.size(cost.peak_bytes)
    return f"{units.size(cost.peak_bytes)} ({units.factor(cost.peak_bytes / cost.floor_bytes)})"


def _kernels(records: list[Record]) -> Table:
    columns = (Column("backend"), Column("fwd rate", "right"), Column("mask as"), Column("kernels"))
    return Table(columns, tuple(_kernel(r) for r in records))


def _kernel(record: Record) -> tuple[Inline, ...]:
    assert isinstance(record.outcome, Measured)  # chosen by the caller
    outcome, cost = record.outcome, record.outcome.timing
    rate = units.rate(cost.flops / cost.fwd_s.median) if cost and cost.flops and cost.fwd_s else "-"
    gaps = f" Withheld: {'; '.join(cost.withheld)}." if cost and cost.withheld else ""
    other = f" {outcome.unexpected_kernel}." if outcome.unexpected_kernel else ""
    kernels = ", ".join(outcome.kernels) or "not seen"
    return (
        line(code(record.trial.backend)),
        line(rate),
        line(outcome.form),
        line(
            code(kernels), Span(other, "weak") if other else "", Span(gaps, "weak") if gaps else ""
        ),
    )
