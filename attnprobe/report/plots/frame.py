"""What all pictures share: room in inches, a headline above, a key below, logarithmic axes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.axis import Axis as Scale
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from attnprobe.report import ticks
from attnprobe.report.figure import Axis, Look
from attnprobe.report.plots.palette import SOFT

KEYS: dict[Look, str] = {
    "right": "full: right",
    "unproven": "half: not proven right, or another kernel ran",
    "wrong": "hollow: wrong",
}
ABOVE, LINE, CHARACTER = 0.62, 0.19, 0.079
"""In inches: of the headline; of one line; of one character of a name, on average."""


class Frame:
    """A canvas of given room, with places counted in inches from its lower left corner.

    Args:
        canvas: An empty one; it is sized.
        width: Of the whole, in inches.
        height: Of what lies between headline and key, in inches.
        key: What a reader cannot guess; wrapped below.
    """

    def __init__(self, canvas: Canvas, width: float, height: float, key: Sequence[str]) -> None:
        lines = textwrap.wrap(";  ".join(key), round(width / CHARACTER))
        self.canvas, self.width, self.below = canvas, width, 0.12 + LINE * len(lines)
        self.height = ABOVE + height + self.below
        canvas.set_size_inches(width, self.height)
        for number, text in enumerate(reversed(lines)):
            self._words(text, 0.06 + LINE * number, color=SOFT, fontsize=9)

    def headline(self, title: str, subtitle: str) -> None:
        """What is shown, and of what."""
        self._words(title, self.height - 0.22, fontsize=11.5, fontweight="bold")
        self._words(subtitle, self.height - 0.44, color=SOFT)

    def _words(self, text: str, bottom: float, **style: object) -> None:
        self.canvas.text(0.1 / self.width, bottom / self.height, text, **style)  # type: ignore[arg-type]

    def axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """Axes whose lower left corner lies so far right of the edge and above the key."""
        place = (left, self.below + bottom, width, height)
        whole = (self.width, self.height, self.width, self.height)
        share = tuple(part / of for part, of in zip(place, whole, strict=True))
        return self.canvas.add_axes(share)  # type: ignore[arg-type]


def logarithmic(axes: Axes, which: Literal["x", "y"], axis: Axis, low: float, high: float) -> None:
    """Sets the scale of one axis, its range and its ticks with their words."""
    scale: Scale = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    (axes.set_xlim if which == "x" else axes.set_ylim)(low, high)
    values = ticks.ticks(axis, low, high)
    scale.set_major_locator(FixedLocator(values))
    scale.set_major_formatter(FixedFormatter([ticks.label(v, axis.unit) for v in values]))
    scale.set_minor_locator(NullLocator())
