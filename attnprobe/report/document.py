"""A Document is what a view says, before any format: a tuple of blocks made of spans.

Whatever enters a span or a code block is made plain on the way in (report/plain.py), so no renderer
ever meets a control character; each still escapes for its own format.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from attnprobe.report import plain
from attnprobe.report.figure import Bars, Chart

Tone = Literal["plain", "strong", "good", "bad", "weak", "muted"]


@dataclass(frozen=True)
class Span:
    """A piece of text on one line.

    Args:
        text: Any string; made plain.
        tone: What it means for the reader. Colour only repeats what the words or the glyph say.
        code: True for names and values that were not written for people.
    """

    text: str
    tone: Tone = "plain"
    code: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", plain.line(self.text))


Inline = tuple[Span, ...]


def line(*parts: str | Span) -> Inline:
    """Words and spans as one line; empty strings are left out."""
    return tuple(Span(p) if isinstance(p, str) else p for p in parts if p != "")


def code(text: str) -> Span:
    """A name or value that was not written for people."""
    return Span(text, code=True)


def codes(names: Iterable[str]) -> Inline:
    """Names, separated by commas."""
    spans = [span for name in names for span in (Span(", "), code(name))]
    return tuple(spans[1:])


@dataclass(frozen=True)
class Heading:
    """A title; level 1 is the document's own."""

    text: str
    level: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", plain.line(self.text))


@dataclass(frozen=True)
class Paragraph:
    """One line of running text, wrapped by the renderer."""

    spans: Inline


@dataclass(frozen=True)
class Bullets:
    """Items of equal rank."""

    items: tuple[Inline, ...]


@dataclass(frozen=True)
class Column:
    """A table column; numbers are aligned right."""

    name: str
    align: Literal["left", "right"] = "left"

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", plain.short(self.name, 40))


@dataclass(frozen=True)
class Table:
    """Rows in the order of their importance: a renderer that must shorten drops the last ones."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Inline, ...], ...]
    caption: Inline = ()


@dataclass(frozen=True)
class Matrix:
    """One glyph per row and column.

    Args:
        columns: Names of the columns.
        rows: Name of the row and one span per column.
        legend: What each glyph that occurs means.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, Inline], ...]
    legend: tuple[tuple[Span, str], ...]

    @property
    def legend_line(self) -> Inline:
        """The legend as running text."""
        entries = (part for glyph, words in self.legend for part in (glyph, f" {words}", "; "))
        return line(*entries)[:-1]

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(plain.short(c, 40) for c in self.columns))
        rows = tuple((plain.short(name, 60), cells) for name, cells in self.rows)
        object.__setattr__(self, "rows", rows)


@dataclass(frozen=True)
class Code:
    """Lines to be shown as they are."""

    text: str
    language: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", plain.block(self.text))


@dataclass(frozen=True)
class Note:
    """A remark that must not be overlooked; the renderer names its kind in words."""

    kind: Literal["good", "note", "warning", "wrong"]
    spans: Inline


@dataclass(frozen=True)
class Folded:
    """Blocks that a reader opens when wanted; the first to go when a view must be short.

    Args:
        summary: What they hold.
        blocks: The blocks.
        long: Whether a view in which nothing can be opened is better without them.
    """

    summary: str
    blocks: tuple[Block, ...]
    long: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "summary", plain.line(self.summary))


Block = Heading | Paragraph | Bullets | Table | Matrix | Code | Note | Folded | Chart | Bars


@dataclass(frozen=True)
class Document:
    """What a view says, in reading order."""

    blocks: tuple[Block, ...]
