"""A sweep: one row a backend, one column a value; what grows how, and who overtakes whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from attnprobe.core import units
from attnprobe.core.outcome import Measured, OutOfMemory, Refused
from attnprobe.report.compose import reading
from attnprobe.report.compose.cost_table import ratio
from attnprobe.report.compose.costs import ByCase, Cost
from attnprobe.report.compose.crossovers import leaders, level
from attnprobe.report.compose.glyphs import RIGHT, WRONG
from attnprobe.report.compose.growth import growth
from attnprobe.report.compose.sweeps import Sweep, Value
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

WIDE = 8
"""Values in one table; more of them go into further tables."""

Cell = Callable[[Cost], Span]

_MARKS = {
    "*": "fastest right one, or not to be told from it",
    "✗": "wrong",
    "»": "another kernel ran than was asked for",
    "L": "launch-bound: the GPU waits for the host",
    "f": "forward only",
    "oom": "out of memory",
    "!": "raised, crashed or timed out",
    "?": "no number that can be trusted",
    "-": "refused",
    "=": "indistinguishable",
}


def one_sweep(sweep: Sweep, by_case: ByCase, namesake: bool = False) -> tuple[Block, ...]:
    """Tables of time, of ratios and of memory over the values; what grows how; who overtakes whom.

    Args:
        sweep: The sweep.
        by_case: All timed cases.
        namesake: Whether another sweep has the same title; then the shape is part of it.
    """
    first = next(iter(sweep.points.values()))
    shape = f" from {reading.shape(first)}" if namesake else ""
    passes = {case.passes for case in sweep.points.values()}
    what = f"{', '.join(sorted(passes))} in ms"
    best = {cost.record.trial for case in sweep.points.values() for cost in level(by_case[case])}
    return (
        Heading(f"{sweep.title} ({reading.dtype(first)}){shape}", 3),
        Paragraph(line(Span(first.label, "muted", code=True), " at its first point")),
        *_tables(sweep, by_case, what, lambda cost: _time(cost, cost.record.trial in best)),
        *_tables(sweep, by_case, "wall ms where launch-bound", _wall),
        *_leaders(sweep, by_case),
        *_ratios(sweep, by_case),
        *_tables(sweep, by_case, "peak in MiB", _peak),
        *growth(sweep, by_case),
    )


def _tables(sweep: Sweep, by_case: ByCase, what: str, cell: Cell) -> list[Block]:
    """A table per `WIDE` values; backends that ran at none of them are left to the refusals."""
    values = list(sweep.points)
    found: list[Block] = []
    for start in range(0, len(values), WIDE):
        chunk = values[start : start + WIDE]
        columns = {v: {c.backend: c for c in by_case[sweep.points[v]]} for v in chunk}
        rows = _rows(columns, cell)
        if rows:
            heads = [
                Column(f"{what}; {sweep.field.name} ="),
                *(Column(str(v), "right") for v in chunk),
            ]
            found.append(Table(tuple(heads), tuple(rows), _legend(rows)))
    return found


def _rows(columns: Mapping[Value, Mapping[str, Cost]], cell: Cell) -> list[tuple[Inline, ...]]:
    names = dict.fromkeys(
        cost.backend
        for same in reversed(list(columns.values()))  # in the order of the largest one
        for cost in same.values()
    )
    ran = [name for name in names if any(_ran(same.get(name)) for same in columns.values())]
    cells = {
        name: [cell(same[name]) if name in same else Span("") for same in columns.values()]
        for name in ran
    }
    return [
        (line(code(name)), *(line(span) for span in spans))
        for name, spans in cells.items()
        if any(span.text for span in spans)
    ]


def _ran(cost: Cost | None) -> bool:
    return cost is not None and isinstance(cost.record.outcome, Measured)


def _legend(rows: Sequence[tuple[Inline, ...]]) -> Inline:
    """What the marks mean that occur."""
    cells = [span.text for row in rows for inline in row[1:] for span in inline]
    marks = [
        m for m in _MARKS if any(text == m or text.strip("0123456789. ") == m for text in cells)
    ]
    marks += [m for m in ("*", "L") if m not in marks and any(m in text for text in cells)]
    return line("; ".join(f"{mark} {_MARKS[mark]}" for mark in marks))


def _time(cost: Cost, best: bool) -> Span:
    duration = cost.duration
    if not isinstance(cost.record.outcome, Measured):
        return _missing(cost)
    if cost.state is WRONG:
        return Span("✗", "bad")
    if cost.forward_alone:
        return Span("f", "muted")
    if duration is None:
        return Span("?", "weak")
    text = units.number(1e3 * duration.median) + ("L" if duration.launch_bound else "")
    if cost.state is not RIGHT:
        return Span(f"{cost.state.glyph}{text}", cost.state.tone)
    return Span(f"{text}*", "good") if best else Span(text)


def _wall(cost: Cost) -> Span:
    """What a loop of launch-bound calls takes each, beside what they take the GPU."""
    duration = cost.duration
    if duration is None or not duration.launch_bound or duration.wall_s is None:
        return Span("")
    return Span(units.number(1e3 * duration.wall_s))


def _missing(cost: Cost) -> Span:
    match cost.record.outcome:
        case OutOfMemory() | Refused(by="memory"):
            return Span("oom", "weak")
        case Refused():
            return Span("-", "muted")
        case _:
            return Span("!", "bad")


def _peak(cost: Cost) -> Span:
    if not isinstance(cost.record.outcome, Measured):
        return _missing(cost)
    if cost.state is WRONG:
        return Span("✗", "bad")
    if cost.forward_alone:
        return Span("f", "muted")
    peak = cost.memory.peak_bytes
    return Span("?", "weak") if peak is None else Span(units.number(peak / 2**20))


def _leaders(sweep: Sweep, by_case: ByCase) -> list[Block]:
    """Who is the fastest from where to where."""
    found = leaders(sweep, by_case)
    spans = [
        f"{name} at {low}" if low == high else f"{name} from {low} to {high}"
        for name, low, high in found
    ]
    return [Paragraph(line("Fastest right: ", Span("; ".join(spans), "good")))] if spans else []


def _ratios(sweep: Sweep, by_case: ByCase) -> list[Block]:
    rivals = dict.fromkeys(
        cost.versus.rival
        for case in sweep.points.values()
        for cost in by_case[case]
        if cost.versus and ratio(cost)
    )
    if not rivals:
        return []
    return _tables(sweep, by_case, f"time against {', '.join(rivals)}", _ratio)


def _ratio(cost: Cost) -> Span:
    found = ratio(cost)
    if found is None:
        return Span("")
    text = units.number(found.median)
    match found.verdict:
        case "faster":
            return Span(text, "good")
        case "slower":
            return Span(text, "weak")
        case _:
            return Span(f"= {text}")
