"""Ever shorter versions of a Document, the least important lost first and every loss named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from attnprobe.report.document import (
    Block,
    Bullets,
    Code,
    Document,
    Folded,
    Inline,
    Matrix,
    Note,
    Paragraph,
    Table,
    line,
)
from attnprobe.report.figure import Bars, Chart


def shrunk(document: Document) -> Iterator[Document]:
    """The document itself, then versions that say less; the last one holds a single note.

    First the folded parts lose their ends, then they go (the last ones first), then pictures, then
    tables, lists and lines lose their ends, and at last blocks are dropped from the end.
    """
    yield document
    blocks = tuple(_cut(b, rows=30) if isinstance(b, Folded) else b for b in document.blocks)
    yield Document(blocks)
    for index in reversed([i for i, b in enumerate(blocks) if isinstance(b, Folded)]):
        blocks = (*blocks[:index], _omitted(blocks[index]), *blocks[index + 1 :])
        yield Document(blocks)
    blocks = tuple(_without_pictures(blocks))
    yield Document(blocks)
    for rows in (60, 30, 12, 5):
        blocks = tuple(_cut(block, rows) for block in blocks)
        yield Document(blocks)
    for count in range(len(blocks) - 1, -1, -1):
        rest = Note("note", line(f"{len(blocks) - count} parts were left out {_WHERE}"))
        yield Document((*blocks[:count], rest))


_WHERE = "because the text would be too long; the JSON report has them."


def _omitted(block: Block) -> Block:
    name = block.summary if isinstance(block, Folded) else "a part"
    return Note("note", line(f"{name}: left out {_WHERE}"))


def _without_pictures(blocks: Iterable[Block]) -> Iterator[Block]:
    pictures = [block for block in blocks if isinstance(block, Chart | Bars)]
    for block in blocks:
        if pictures and block is pictures[0]:
            yield Note("note", line(f"{len(pictures)} pictures: left out {_WHERE}"))
        elif block not in pictures:
            yield block


def _cut(block: Block, rows: int) -> Block:
    match block:
        case Table(rows=all_rows) if len(all_rows) > rows:
            left_out = line(f"{len(all_rows) - rows} more rows were left out {_WHERE} ")
            return replace(block, rows=_shortened(all_rows[:rows], rows), caption=left_out)
        case Table(rows=all_rows):
            return replace(block, rows=_shortened(all_rows, rows))
        case Bullets(items) if len(items) > rows:
            rest = line(f"{len(items) - rows} more were left out {_WHERE}")
            return Bullets((*(_short(item, 20 * rows) for item in items[:rows]), rest))
        case Matrix(columns, all_rows, legend):
            kept = tuple((name, cells[:40]) for name, cells in all_rows[:rows])
            return Matrix(columns[:40], kept, legend)
        case Code(text, language):
            return Code(text[-50 * rows :], language)
        case Paragraph(spans):
            return Paragraph(_short(spans, 20 * rows))
        case Folded(blocks=blocks):
            return replace(block, blocks=tuple(_cut(each, rows) for each in blocks))
        case _:
            return block


def _shortened(rows: tuple[tuple[Inline, ...], ...], most: int) -> tuple[tuple[Inline, ...], ...]:
    return tuple(tuple(_short(cell, 10 * most) for cell in row) for row in rows)


def _short(spans: Inline, most: int) -> Inline:
    return tuple(
        replace(span, text=f"{span.text[:most]}...") if len(span.text) > most else span
        for span in spans
    )
