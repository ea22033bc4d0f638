"""A picture made of characters: letters over a grid, or bars; it needs neither colour nor matplotlib."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator
from itertools import pairwise

from rich.cells import cell_len, set_cell_size

from attnprobe.core import units
from attnprobe.report import ticks
from attnprobe.report.document import Inline, Span, Tone, line
from attnprobe.report.figure import Bar, Bars, Chart, Fate, Figure, Look, Series

Cells = dict[int, Span]
Named = list[tuple[str, Series]]

WIDTH, HEIGHT = 90, 13
"""Columns of the whole, rows of the grid."""

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZΓΔΘΛΞΠΣΦΨΩ"
_SEVERAL, _BEYOND, _LIMIT = "+", "#", "·"
_EDGE = 3
"""Columns left free on both sides of a grid."""

_ASIDE = (0, 1, -1, 2, -2, 3, -3)
"""Where a letter goes whose cell is taken, the first of these columns that is free."""

_FILLS: dict[Look, str] = {"right": "█", "unproven": "▒", "wrong": "░"}
_WORDS: dict[Look, str] = {"right": "right", "unproven": "not proven right", "wrong": "wrong"}
_TONES: dict[Look, Tone] = {"right": "plain", "unproven": "weak", "wrong": "bad"}


def drawn(figure: Figure, width: int = WIDTH) -> Iterator[Inline]:
    """Lines of at most `width` columns: title, picture, legend."""
    yield from _wrapped(figure.title, width, "strong")
    yield from _wrapped(figure.subtitle, width, "muted")
    match figure:
        case Chart():
            yield from _chart(figure, width)
        case Bars():
            yield from _bars(figure, width)


def _wrapped(text: str, width: int, tone: Tone = "plain", indent: int = 0) -> Iterator[Inline]:
    for part in textwrap.wrap(text, width - indent):
        yield line(" " * indent, Span(part, tone))


def _chart(chart: Chart, width: int) -> Iterator[Inline]:
    y_low, y_high = ticks.padded(*chart.y_range)
    values = ticks.ticks(chart.y, y_low, y_high)
    marks = {_row(v, y_low, y_high): ticks.label(v, chart.y.unit) for v in values}
    margin = max(map(len, (*marks.values(), *chart.fates)))
    columns = max(20, width - margin - 2)
    named = [(_letter(series.slot), series) for series in chart.series]
    for fate in chart.fates:
        yield line(f"{fate:>{margin}} ┤", *_spans(_lane(chart, named, fate, columns)))
    for row, cells in reversed(list(enumerate(_grid(chart, named, columns)))):
        edge = "┤" if row in marks else "│"
        yield line(f"{marks.get(row, ''):>{margin}} {edge}", *_spans(cells))
    yield line(f"{'':{margin}} └{'─' * columns}")
    yield line(" " * (margin + 2), _below(chart, columns))
    axes = f"across: {chart.x.label}; up: {chart.y.label}; both logarithmic"
    yield from _wrapped(axes, width, indent=margin + 2)
    yield from _legend(chart, named, width)


def _grid(chart: Chart, named: Named, columns: int) -> list[Cells]:
    """The rows of the grid, the lowest first."""
    low, high = ticks.padded(*chart.y_range)
    rows: list[Cells] = [{} for _ in range(HEIGHT)]
    for limit in chart.limits:
        for at in range(columns):
            y = _between(limit.points, _x(at, chart, columns))
            if y is not None:
                rows[_row(y, low, high)][at] = Span(_LIMIT, "muted")
    for letter, series in named:
        for p in series.points:
            shown = Span(_cased(letter, p.look), _TONES[p.look])
            _put(rows[_row(p.y, low, high)], _column(p.x, chart, columns), shown)
    return rows


def _lane(chart: Chart, named: Named, fate: Fate, columns: int) -> Cells:
    """Who has no number for this reason, and where."""
    cells: Cells = {}
    look: Look = "wrong" if fate == "wrong" else "right"
    for letter, series in named:
        for x in (x for x, why in series.missing if why == fate):
            shown = Span(_cased(letter, look), _TONES[look])
            _put(cells, _column(x, chart, columns), shown)
    return cells


def _row(y: float, low: float, high: float) -> int:
    return _place(y, low, high, HEIGHT)


def _column(x: float, chart: Chart, columns: int) -> int:
    return _EDGE + _place(x, *chart.x_range, columns - 2 * _EDGE)


def _x(column: int, chart: Chart, columns: int) -> float:
    """What a column stands for."""
    low, high = chart.x_range
    return low * math.pow(high / low, (column - _EDGE) / (columns - 2 * _EDGE - 1))


def _put(cells: Cells, at: int, shown: Span) -> None:
    """Into its cell, or a free one beside it; where there is none, what is there becomes several."""
    for aside in _ASIDE:
        there = cells.get(at + aside)
        if there is None or there.text in (_LIMIT, shown.text):
            cells[at + aside] = shown
            return
    cells[at] = Span(_SEVERAL)


def _spans(cells: Cells) -> Iterator[Span]:
    return (cells.get(at, Span(" ")) for at in range(1 + max(cells, default=-1)))


def _below(chart: Chart, columns: int) -> str:
    """The ticks of x, each below its column; one that has no room is left out."""
    text = ""
    for value in ticks.ticks(chart.x, *chart.x_range):
        words, at = ticks.label(value, chart.x.unit), _column(value, chart, columns)
        start = min(max(0, at - len(words) // 2), columns - len(words))
        if start >= len(text) + bool(text):
            text = text.ljust(start) + words
    return text


def _legend(chart: Chart, named: Named, width: int) -> Iterator[Inline]:
    entries = [f"{letter} {series.name}{_doubts(letter, series)}" for letter, series in named]
    entries += [f"{_LIMIT} {limit.name}" for limit in chart.limits]
    entries += ["side by side: alike", *chart.remarks]
    text = ""
    for entry in entries:
        if text and cell_len(text) + cell_len(entry) + 2 > width:
            yield line(text)
            text = ""
        text += f"{'  ' if text else ''}{entry}"
    yield line(text)


def _doubts(letter: str, series: Series) -> str:
    looks = dict.fromkeys(p.look for p in series.points if p.look != "right")
    said = ", ".join(f"{_cased(letter, look)}: {_WORDS[look]}" for look in looks)
    return f" ({said})" if said else ""


def _letter(slot: int) -> str:
    return _LETTERS[slot] if slot < len(_LETTERS) else _BEYOND


def _cased(letter: str, look: Look) -> str:
    return letter if look == "right" else letter.lower()


def _place(value: float, low: float, high: float, cells: int) -> int:
    """Which of so many cells a value falls into, on a logarithmic scale."""
    if high <= low:
        return cells // 2
    share = math.log(value / low) / math.log(high / low)
    return min(max(0, round(share * (cells - 1))), cells - 1)


def _between(points: tuple[tuple[float, float], ...], x: float) -> float | None:
    """Where a line of straight pieces between logarithms stands at x; None outside of it."""
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 <= x <= x1 and x1 > x0:
            return float(y0 * (y1 / y0) ** (math.log(x / x0) / math.log(x1 / x0)))
    return None


def _bars(figure: Bars, width: int) -> Iterator[Inline]:
    names = max(cell_len(bar.name) for bar in figure.bars)
    texts = [
        f"{units.factor(b.value)} [{units.number(b.low)},{units.number(b.high)}]"
        for b in figure.bars
    ]
    columns = max(20, width - names - max(map(len, texts)) - 4)
    low, high = ticks.padded(*figure.range, least=1.5)
    one = _place(1.0, low, high, columns)
    for bar, text in zip(figure.bars, texts, strict=True):
        cells = _bar(bar, one, _place(bar.value, low, high, columns), columns)
        yield line(
            f"{set_cell_size(bar.name, names)}  ", Span(cells, _TONES[bar.look]), f"  {text}"
        )
    looks = [f"{_FILLS[look]} {_WORDS[look]}" for look in figure.looks if look != "right"]
    axis = "│ is 1, bars to the right are faster; logarithmic; [95% interval]"
    yield from _wrapped("; ".join([axis, *looks]), width)


def _bar(bar: Bar, one: int, end: int, columns: int) -> str:
    left, right = min(one, end), max(one, end)
    fill = _FILLS[bar.look]
    cells = [fill if left <= at <= right else " " for at in range(columns)]
    cells[one] = "│"
    return "".join(cells)
