"""Colours, markers and lines: eight colours for colour-blind readers, told apart by shape as well.

Source of the colours: M. Okabe and K. Ito, Color Universal Design (2008), https://jfly.uni-koeln.de/color/,
without yellow, which is lost on white, with the page's ink in the place of black, and with grey.
"""

from __future__ import annotations

from dataclasses import dataclass

INK, SOFT, GRID, PAPER = "#1b1f24", "#59636e", "#d5dae0", "#ffffff"
VARIABLES = {INK: "--ink", SOFT: "--soft", GRID: "--line", PAPER: "--paper"}
"""The colours that a page's own colours take the place of (report/page.html.jinja)."""

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", INK, "#808890")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "<", "h", ">")
_DASHES: tuple[tuple[float, tuple[float, ...]], ...] = (
    (0, ()),
    (0, (5, 1.5)),
    (0, (1, 1.2)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (8, 2, 1, 2, 1, 2)),
)


@dataclass(frozen=True)
class Pen:
    """How one backend is drawn.

    Args:
        colour: As hexadecimal digits.
        marker: A marker of matplotlib.
        dashes: A line style of matplotlib: where it begins, lengths of dashes and gaps.
    """

    colour: str
    marker: str
    dashes: tuple[float, tuple[float, ...]]


def pen(slot: int) -> Pen:
    """The pen of a backend; the cycles are of coprime lengths, so 440 backends differ."""
    return Pen(
        _COLOURS[slot % len(_COLOURS)],
        _MARKERS[slot % len(_MARKERS)],
        _DASHES[slot % len(_DASHES)],
    )
