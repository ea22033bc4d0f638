"""A Document as GitHub-flavoured Markdown that fits an issue and cannot mention or link anything.

Source: GitHub Flavored Markdown, https://github.github.com/gfm/; a GitHub issue body holds 65,536
characters. GitHub turns @name, #123, :emoji: and bare URLs into links *after* Markdown's escapes are
resolved, so a zero-width space is put into each of them.
"""

from __future__ import annotations

import html
import re

from attnprobe.report import document as d
from attnprobe.report.shrink import shrunk
from attnprobe.report.staircase import staircase

LIMIT = 65_000
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#|~$^=+!-])")
_LINKING = re.compile(r"(@|#|://|www(?=\.)|\bGH-(?=\d)|:(?=[\w+-]+:))", re.IGNORECASE)
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
            return _inline(spans)
        case d.Bullets(items):
            return "\n".join(f"- {_inline(item)}" for item in items)
        case d.Note(kind, spans):
            return f"> [!{_ALERTS[kind]}]\n> {_inline(spans)}"
        case d.Code(text, language):
            return _fenced(text, language)
        case d.Table():
            return _table(block)
        case d.Matrix():
            lines = ("".join(span.text for span in spans).rstrip() for spans in staircase(block))
            return f"{_fenced(chr(10).join(lines), 'text')}\n\n{_inline(block.legend_line)}"
        case d.Folded(summary, blocks):
            inner = "\n\n".join(_block(each) for each in blocks)
            return f"<details><summary>{_html(summary)}</summary>\n\n{inner}\n\n</details>"


def _table(table: d.Table) -> str:
    marks = {"left": "---", "right": "---:"}
    lines = [
        [_words(column.name) for column in table.columns],
        [marks[column.align] for column in table.columns],
        *([_inline(cell) for cell in row] for row in table.rows),
    ]
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"{text}\n\n{_inline(table.caption)}" if table.caption else text


def _inline(spans: d.Inline) -> str:
    return "".join(_span(span) for span in spans)


def _span(span: d.Span) -> str:
    if not span.text.strip():
        return span.text
    body = f"<code>{_words(span.text)}</code>" if span.code else _words(span.text)
    if span.tone not in ("strong", "bad"):
        return body
    lead, core, trail = re.fullmatch(r"(\s*)(.*?)(\s*)", body).groups()  # type: ignore[union-attr]
    return f"{lead}<b>{core}</b>{trail}"


def _words(text: str) -> str:
    return _LINKING.sub(_broken_link, _SPECIAL.sub(r"\\\1", html.escape(text)))


def _html(text: str) -> str:
    return _LINKING.sub(_broken_link, html.escape(text))


def _broken_link(match: re.Match[str]) -> str:
    return f"{match[0]}{_ZERO_WIDTH}"


def _fenced(text: str, language: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
