"""A figure drawn with matplotlib's defaults and ours, whatever the user's own settings are."""

from __future__ import annotations

import io
import warnings
from typing import Any, Literal

import matplotlib
from matplotlib.figure import Figure as Canvas

from attnprobe.report.figure import Bars, Chart, Figure
from attnprobe.report.plots.bars import draw_bars
from attnprobe.report.plots.chart import draw_chart
from attnprobe.report.plots.palette import GRID, INK, PAPER, SOFT

DPI = 160
"""Of PNG files."""

_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be searched, and takes the page's font
    "svg.hashsalt": "attnprobe",  # the same ids in every run
    "text.parse_math": False,  # names come from sessions, and a dollar sign is no mathematics
    "font.size": 9.5,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.linewidth": 0.8,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "legend.frameon": False,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
}


def saved(figure: Figure, form: Literal["svg", "png"]) -> bytes:
    """The figure as a file's content; the same bytes for the same figure and matplotlib."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a glyph that the font lacks is drawn as a box
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        canvas = Canvas()
        match figure:
            case Chart():
                draw_chart(canvas, figure)
            case Bars():
                draw_bars(canvas, figure)
        file = io.BytesIO()
        when = {"Date": None} if form == "svg" else None
        canvas.savefig(file, format=form, dpi=DPI, metadata=when, transparent=form == "svg")
    return file.getvalue()
