"""A Document as GitHub-flavoured Markdown that fits an issue and cannot mention or link anything.

Source: GitHub Flavored Markdown, https://github.github.com/gfm/; a GitHub issue body holds 65,536
characters. GitHub turns @name, #123, :emoji: and bare URLs into links *after* Markdown's escapes are
resolved, so a zero-width space is put into each of them.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from attnprobe.report import document as d
from attnprobe.report.characters import drawn
from attnprobe.report.figure import Bars, Chart
from attnprobe.report.shrink import shrunk
from attnprobe.report.staircase import staircase

LIMIT = 65_000
_SPECIAL = re.compile(r"([\\`*\[\]#|~$]|(?<!\w)_|_(?!\w))")
_BLOCK_START = re.compile(r"([-+=>]|\d+(?=[.)]))")
_LINKING = re.compile(r"(@|#|:(?=//)|www(?=\.)|\bGH-(?=\d)|:(?=[\w+-]+:))", re.IGNORECASE)
_ZERO_WIDTH = "&#8203;"
_ALERTS = {"good": "TIP", "note": "NOTE", "warning": "WARNING", "wrong": "CAUTION"}


def render(document: d.Document) -> str:
    """The document in at most LIMIT bytes of UTF-8; what had to go is named."""
    for candidate in shrunk(document):
        text = "\n\n".join(_block(block) for block in candidate.blocks) + "\n"
        if len(text.encode()) <= LIMIT:
            break
    return text


def _block(block: d.Block) -> str:
    match block:
        case d.Heading(title, level):
            return f"{'#' * (level + 1)} {_words(title)}"
        case d.Paragraph(spans):
            return _line(spans)
        case d.Bullets(items):
            return "\n".join(f"- {_line(item)}" for item in items)
        case d.Note(kind, spans):
            return f"> [!{_ALERTS[kind]}]\n> {_line(spans)}"
        case d.Code(text, language):
            return _fenced(text, language)
        case d.Table():
            return _table(block)
        case d.Matrix():
            return f"{_fenced(_lines(staircase(block)), 'text')}\n\n{_line(block.legend_line)}"
        case Chart() | Bars():
            return _fenced(_lines(drawn(block)), "text")
        case d.Folded(summary, blocks):
            inner = "\n\n".join(_block(each) for each in blocks)
            title = _unlinked(html.escape(summary))
            return f"<details><summary>{title}</summary>\n\n{inner}\n\n</details>"


def _lines(of: Iterable[d.Inline]) -> str:
    return "\n".join("".join(span.text for span in spans).rstrip() for spans in of)


def _table(table: d.Table) -> str:
    marks = {"left": "---", "right": "---:"}
    lines = [
        [_words(column.name) for column in table.columns],
        [marks[column.align] for column in table.columns],
        *([_inline(cell) for cell in row] for row in table.rows),
    ]
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"{text}\n\n{_line(table.caption)}" if table.caption else text


def _line(spans: d.Inline) -> str:
    text = _inline(spans).lstrip()
    return _BLOCK_START.sub(_entity, text, count=1) if _BLOCK_START.match(text) else text


def _inline(spans: d.Inline) -> str:
    return "".join(_span(span) for span in spans)


def _span(span: d.Span) -> str:
    text = span.text
    if not text.strip():
        return text
    if span.tone not in ("strong", "bad"):
        return _code(text) if span.code else _words(text)
    core = text.strip()
    lead, trail = text[: text.index(core)], text[text.index(core) + len(core) :]
    return f"{lead}<b>{_code(core) if span.code else _words(core)}</b>{trail}"


def _code(text: str) -> str:
    """Backticks show everything as it is, but cannot hold a backtick, nor a bar in a table."""
    plain = not set("`|") & set(text)
    return f"`{text}`" if plain else f"<code>{_words(text)}</code>"


def _words(text: str) -> str:
    return _unlinked(_SPECIAL.sub(r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;")))


def _unlinked(text: str) -> str:
    return _LINKING.sub(lambda match: match[0] + _ZERO_WIDTH, text)


def _entity(match: re.Match[str]) -> str:
    return f"&#{ord(match[0][0])};{match[0][1:]}"


def _fenced(text: str, language: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
