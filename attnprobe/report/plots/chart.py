"""Measurements over two logarithmic axes; above them, in lanes, where there is no number and why."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from attnprobe.report import ticks
from attnprobe.report.figure import Chart, Fate, Look, Series
from attnprobe.report.plots.frame import CHARACTER, KEYS, LINE, Frame, logarithmic
from attnprobe.report.plots.palette import INK, PAPER, SOFT, pen

_BESIDE = 2.4
"""Inches of a legend at least, so that pictures below each other are of one width."""

_LEFT, _ACROSS, _UP, _LANE, _APART, _FOOT = 1.35, 5.3, 3.1, 0.2, 0.1, 0.5
"""In inches: left of the axes, their width and height, one lane, what keeps lanes away, ticks below."""

_SIZE, _SMALL = 6.0, 0.55
"""Of a marker, in points, and its share where launching the call takes longer than running it."""

_SPREAD = 9.0
"""Points between the markers of several backends at one place of a lane, at most."""

_LIMIT = (0, (6, 3))


def draw_chart(canvas: Canvas, chart: Chart) -> None:
    """Draws onto an empty canvas and sizes it."""
    names = [*(series.name for series in chart.series), *(limit.name for limit in chart.limits)]
    beside = max(_BESIDE, 0.75 + CHARACTER * max(map(len, names)))
    lanes = _LANE * len(chart.fates)
    apart = _APART if lanes else 0.0
    room = max(_FOOT + _UP + apart + lanes, LINE * (len(names) + 1))
    frame = Frame(canvas, _LEFT + _ACROSS + beside, room, _key(chart))
    frame.headline(chart.title, chart.subtitle)
    up = room - _FOOT - apart - lanes
    axes = frame.axes(_LEFT, _FOOT, _ACROSS, up)
    axes.grid(True)
    for limit in chart.limits:
        axes.plot(*zip(*limit.points, strict=True), color=INK, lw=1.2, ls=_LIMIT, zorder=1.5)
    for depth, series in enumerate(chart.series):
        _series(axes, series, chart.joined, max(0.0, 1 - 0.25 * depth))
    logarithmic(axes, "x", chart.x, *ticks.padded(*_across(chart)))
    logarithmic(axes, "y", chart.y, *ticks.padded(*chart.y_range))
    axes.set_xlabel(chart.x.label)
    axes.set_ylabel(chart.y.label)
    axes.yaxis.set_label_coords(-1.15 / _ACROSS, 0.5)
    if lanes:
        _lanes(frame.axes(_LEFT, room - lanes, _ACROSS, lanes), chart, axes.get_xlim())
    axes.legend(
        handles=_entries(chart), loc="upper left", bbox_to_anchor=(1.01, (room - _FOOT) / up),
        borderaxespad=0, handlelength=3.2, fontsize=9,
    )  # fmt: skip


def _across(chart: Chart) -> tuple[float, float]:
    """The range of x: that of the points, and of limits where they are what is looked for."""
    reach = [x for limit in chart.limits for x, _ in limit.points] if not chart.joined else []
    low, high = chart.x_range
    return min(low, *reach, low), max(high, *reach, high)


def _series(axes: Axes, series: Series, joined: bool, more: float) -> None:
    """One backend; `more`, from 1 for the first to 0, leaves a rim where others lie on top of it."""
    drawn = pen(series.slot)
    x, y = [p.x for p in series.points], [p.y for p in series.points]
    if joined:
        gaps = ((x, math.nan) for x, _ in series.missing)  # a line that passed would be a claim
        path = sorted([*zip(x, y, strict=True), *gaps])
        axes.plot(
            *zip(*path, strict=True),
            color=drawn.colour,
            ls=drawn.dashes,
            lw=1.4 + 1.4 * more,
            zorder=2,
        )
    interval = [p.y - p.low for p in series.points], [p.high - p.y for p in series.points]
    if any(map(any, interval)):
        axes.errorbar(
            x, y, interval, fmt="none", ecolor=drawn.colour, elinewidth=1.2, capsize=2.5, zorder=2.5
        )
    for p in series.points:
        size = (_SIZE + 3 * more) * (_SMALL if p.launch_bound else 1)
        axes.add_line(_marker(series.slot, p.look, size, p.x, p.y))


def _marker(slot: int, look: Look, size: float = _SIZE, x: float = 0.0, y: float = 0.0) -> Line2D:
    """Full where it is right, half where that was not shown, hollow where it is wrong."""
    drawn = pen(slot)
    return Line2D(
        [x], [y], linestyle="none", marker=drawn.marker, markersize=size, color=drawn.colour,
        markeredgewidth=1.2, markerfacecolor=PAPER if look == "wrong" else drawn.colour,
        markerfacecoloralt=PAPER, fillstyle="left" if look == "unproven" else "full", zorder=3,
    )  # fmt: skip


def _lanes(axes: Axes, chart: Chart, across: tuple[float, float]) -> None:
    """One lane per reason, above the axes and with their range."""
    axes.set_xscale("log")
    axes.set_xlim(across)
    axes.set_ylim(len(chart.fates) - 0.5, -0.5)
    axes.spines[:].set_visible(False)
    axes.tick_params(which="both", length=0, bottom=False, labelbottom=False)
    axes.set_yticks(range(len(chart.fates)), chart.fates)
    for row, fate in enumerate(chart.fates):
        axes.axhline(row, color=SOFT, lw=0.5, ls=(0, (1, 3)), zorder=1)
        _lane(axes, chart, fate, row)


def _lane(axes: Axes, chart: Chart, fate: Fate, row: int) -> None:
    """The markers of those to whom it happened, side by side where they meet."""
    met: dict[float, list[int]] = {}
    for series in chart.series:
        for x, why in series.missing:
            if why == fate:
                met.setdefault(x, []).append(series.slot)
    for x, slots in met.items():
        spread = min(_SPREAD, 60 * _ACROSS / len(chart.x.at or met) / len(slots))
        for at, slot in enumerate(slots):
            marker = _marker(slot, _look(fate), _SIZE, x, row)
            axes.add_line(marker)
            aside = spread * (at - (len(slots) - 1) / 2) / 72
            shift = ScaledTranslation(aside, 0, axes.figure.dpi_scale_trans)
            marker.set_transform(axes.transData + shift)


def _look(fate: Fate) -> Look:
    return "wrong" if fate == "wrong" else "right"


def _entries(chart: Chart) -> list[Line2D]:
    """The legend, in the order in which the lines end, from above."""
    ordered = sorted(chart.series, key=lambda s: -s.points[-1].y if s.points else 0.0)
    found = []
    for series in ordered:
        looks = {p.look for p in series.points} or {_look(why) for _, why in series.missing}
        entry = _marker(series.slot, min(looks, key=list(KEYS).index))
        entry.set_linestyle(pen(series.slot).dashes if chart.joined else "none")
        entry.set_label(series.name)
        found.append(entry)
    lines = (Line2D([], [], color=INK, lw=1.2, ls=_LIMIT, label=each.name) for each in chart.limits)
    return [*found, *lines]


def _key(chart: Chart) -> list[str]:
    """What a reader cannot guess."""
    points = [p for s in chart.series for p in s.points]
    said = [KEYS[look] for look in chart.looks if look != "right"]
    said += ["a wrong result is not measured"] if "wrong" in chart.fates else []
    if any(p.launch_bound for p in points):
        said.append("small: launch-bound, the GPU waits for the host")
    if any(p.low < p.high for p in points):
        said.append("bars: 95% interval, where it is larger than the marker")
    return [*said, *chart.remarks]
