"""A Document on a terminal, or as plain text: glyphs and words carry the meaning, colour repeats it."""

from __future__ import annotations

import io

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from attnprobe.report import document as d
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
_ASCII = str.maketrans({"✓": "+", "✗": "x", "»": ">", "≠": "!", "│": "|", "─": "-", "×": "x"})


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
            return _table(block)
        case d.Matrix():
            grid = (_text(spans, wrap=False) for spans in staircase(block))
            return Group(*grid, Text(), _text(block.legend_line))
        case d.Folded(summary, blocks):
            return Group(Text(summary, style="bold"), *map(_block, blocks))


def _table(table: d.Table) -> RenderableType:
    grid = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    for column, *cells in zip(table.columns, *table.rows, strict=True):
        words = (word for cell in cells for word in _plain(cell).split())
        widest = max(map(cell_len, words), default=0)
        grid.add_column(
            Text(column.name),
            justify=column.align,
            overflow="fold",
            min_width=min(widest, _UNBROKEN),
        )
    for row in table.rows:
        grid.add_row(*map(_text, row))
    return Group(grid, _text(table.caption)) if table.caption else grid


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
