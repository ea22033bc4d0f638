"""Speeds against a rival: one bar a backend from 1 on, with its interval, on a logarithmic scale."""

from __future__ import annotations

from matplotlib.figure import Figure as Canvas

from attnprobe.core import units
from attnprobe.report import ticks
from attnprobe.report.figure import Axis, Bars
from attnprobe.report.plots.frame import CHARACTER, KEYS, Frame, logarithmic
from attnprobe.report.plots.palette import INK, PAPER, SOFT, pen

_ACROSS, _ROW, _FOOT, _WORDS = 5.3, 0.27, 0.5, 1.75
"""In inches: width of the axes, one bar, ticks and label below them, words beside a bar."""


def draw_bars(canvas: Canvas, figure: Bars) -> None:
    """Draws onto an empty canvas and sizes it."""
    left = 0.3 + CHARACTER * max(len(bar.name) for bar in figure.bars)
    up = _ROW * len(figure.bars) + 0.1
    frame = Frame(canvas, left + _ACROSS + _WORDS, _FOOT + up, _key(figure))
    frame.headline(figure.title, figure.subtitle)
    axes = frame.axes(left, _FOOT, _ACROSS, up)
    axes.grid(True, axis="x")
    axes.set_axisbelow(True)
    logarithmic(axes, "x", Axis(""), *ticks.padded(*figure.range, least=1.5))
    axes.set_ylim(len(figure.bars) - 0.5, -0.5)
    axes.set_yticks(range(len(figure.bars)), [bar.name for bar in figure.bars])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("slower  <  1  <  faster")
    for row, bar in enumerate(figure.bars):
        colour = pen(bar.slot).colour
        axes.barh(
            row, bar.value - 1, 0.62, 1.0, color=colour if bar.look == "right" else PAPER,
            edgecolor=colour, hatch="////" if bar.look == "unproven" else None, lw=1.2, zorder=2,
        )  # fmt: skip
        interval = [[bar.value - bar.low], [bar.high - bar.value]]
        axes.errorbar(bar.value, row, xerr=interval, ecolor=INK, elinewidth=1.1, capsize=2.5)
        words = f"{units.factor(bar.value)} [{units.number(bar.low)},{units.number(bar.high)}]"
        axes.annotate(
            words, (1, row), (8, 0), ("axes fraction", "data"), "offset points", va="center"
        )
    axes.axvline(1.0, color=SOFT, lw=1.2, zorder=3)


def _key(figure: Bars) -> list[str]:
    said = [KEYS[look].replace("half", "hatched") for look in figure.looks if look != "right"]
    return [*said, "whiskers: 95% interval"]
