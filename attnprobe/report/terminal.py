"""A Document on a terminal, or as plain text: glyphs and words carry the meaning, colour repeats it."""

from __future__ import annotations

import io
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table as RichTable
from rich.text import Text

from attnprobe.report import document as d
from attnprobe.report.characters import WIDTH, drawn
from attnprobe.report.figure import Bars, Chart, Figure
from attnprobe.report.staircase import staircase

STYLES: dict[d.Tone, str] = {
    "plain": "",
    "strong": "bold",
    "good": "cyan",
    "bad": "bold red",
    "weak": "yellow",
    "muted": "dim",
}
_NOTES: dict[str, d.Tone] = {"good": "good", "note": "muted", "warning": "weak", "wrong": "bad"}
_UNBROKEN = 28  # a word up to this long stays whole in a table, as backend names must
_ASCII = str.maketrans(
    {"✓": "+", "✗": "x", "»": ">", "≠": "!", "│": "|", "─": "-", "×": "x", "±": "~"}
    | {"┤": "+", "└": "+", "·": ".", "█": "#", "▒": "%", "░": ":"}
)


def text(document: d.Document, width: int = 100) -> str:
    """The document as plain text, without colour and trailing blanks."""
    console = Console(
        file=io.StringIO(), width=width, color_system=None, force_terminal=False, _environ={}
    )
    return "\n".join(line.rstrip() for line in _rendered(document, console).split("\n"))


def render(document: d.Document, console: Console) -> None:
    """Writes the document to the console's file; what its encoding lacks is replaced, never raised."""
    rendered = _rendered(document, console)
    try:
        rendered.encode(console.encoding)
    except UnicodeEncodeError:
        replaced = rendered.translate(_ASCII).encode(console.encoding, "replace")
        rendered = replaced.decode(console.encoding)
    console.file.write(rendered)


def _rendered(document: d.Document, console: Console) -> str:
    with console.capture() as capture:
        for block in document.blocks:
            console.print(_block(block), crop=False)
            console.print()
    return capture.get()


def _block(block: d.Block) -> RenderableType:
    match block:
        case d.Heading(title, level):
            return Text(title, style="bold underline" if level < 3 else "bold")
        case d.Paragraph(spans):
            return _text(spans)
        case d.Bullets(items):
            return Group(*(_hanging("- ", _text(item)) for item in items))
        case d.Note(kind, spans):
            return _text((d.Span(f"{kind}: ", _NOTES[kind]), *spans))
        case d.Code(code):
            lines = code.split("\n")
            return Group(*(_text((d.Span(f"    {each}"),), wrap=False) for each in lines))
        case d.Table():
            return _Grid(block)
        case d.Matrix():
            grid = (_text(spans, wrap=False) for spans in staircase(block))
            return Group(*grid, Text(), _text(block.legend_line))
        case Chart() | Bars():
            return _Picture(block)
        case d.Folded(summary, _, long=True):
            return Text(f"{summary} (`attnprobe render SESSION --format md` has it)", style="dim")
        case d.Folded(summary, blocks):
            return Group(Text(summary, style="bold"), *map(_block, blocks))


@dataclass(frozen=True)
class _Grid:
    """A table whose columns give way where they can be wrapped between words."""

    table: d.Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        grid = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
        for column, width in zip(self.table.columns, self._widths(options.max_width), strict=True):
            grid.add_column(Text(column.name), justify=column.align, overflow="fold", width=width)
        for row in self.table.rows:
            grid.add_row(*map(_text, row))
        yield grid
        if self.table.caption:
            yield _text(self.table.caption)

    def _widths(self, most: int) -> list[int | None]:
        """Width of each column: the widest gives way first, down to its longest word."""
        heads = [[column.name] for column in self.table.columns]
        cells = [
            head + [_plain(c) for c in rest]
            for head, *rest in zip(heads, *self.table.rows, strict=True)
        ]
        widths = [max(map(cell_len, texts)) for texts in cells]
        least = [max(cell_len(w) for text in texts for w in [*text.split(), ""]) for texts in cells]
        while sum(widths) + 2 * len(widths) - 1 > most:
            yielding = [i for i, width in enumerate(widths) if width > min(least[i], _UNBROKEN)]
            if not yielding:
                return [None] * len(widths)
            widths[max(yielding, key=lambda i: widths[i])] -= 1
        return [*widths]


@dataclass(frozen=True)
class _Picture:
    """A figure as characters, as wide as there is room."""

    figure: Figure

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for spans in drawn(self.figure, min(WIDTH, options.max_width)):
            yield _text(spans, wrap=False)


def _plain(spans: d.Inline) -> str:
    return "".join(span.text for span in spans)


def _hanging(mark: str, content: RenderableType) -> RenderableType:
    grid = RichTable.grid()
    grid.add_column(no_wrap=True)
    grid.add_column()
    grid.add_row(Text(f"  {mark}"), content)
    return grid


def _text(spans: d.Inline, wrap: bool = True) -> Text:
    made = Text(no_wrap=not wrap, overflow="fold" if wrap else "ignore")
    for span in spans:
        made.append(span.text, STYLES[span.tone])
    return made
