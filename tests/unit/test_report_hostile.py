"""A session written by a stranger becomes text in every view: no markup, no control, no broken table."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from attnprobe import masks
from attnprobe.core.jsonio import decode, encode
from attnprobe.core.mask import Mask
from attnprobe.core.report import Report
from attnprobe.report import compose, html, json_view, markdown, terminal
from tests.golden import example

HOSTILE = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(2)></td></table>",
    "attribute": "\" onmouseover='alert(1)' x=\"",
    "template": "{{ 7 * 7 }}{% raw %}",
    "ansi": "\x1b[2J\x1b[31mred\x1b]0;title\x07\x9b5m",
    "control": "a\x00b\x08c\rd\x7f\x85e\u2028f",
    "bidi": "\u202egnp.exe\u2066\u200f",
    "rich": "[red]x[/red] [link=http://x]y[/link] :skull:",
    "table": "| a | b |\n|---|---|\n",
    "markdown": "**bold** `code` [x](javascript:alert(1)) ![i](http://x/y.png) # h\n- item\n1. one",
    "fence": "``` ````\n</details>\n<!-- ",
    "mention": "@torvalds a/b#123 #456 GH-789 https://evil.example www.evil.example a@b.example",
    "path": "../../../etc/passwd\x00.md",
    "surrogate": "\udfff\ud800",
    "wide": "表" * 80,
    "long": "x" * 5000,
    "glued": "y" * 900 + " | " + "`" * 50,
}
_STRUCTURE = {
    "kind", "fact", "storage", "mask", "passes", "question", "by", "verdict",
}  # fmt: skip


def planted(report: Report, text: str) -> Report:
    """The report with `text` behind every string that a session may hold, keys included."""

    def plant(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            free = key in ("variables", "flags", "phases", "quantities")
            return {(k + text if free else k): plant(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [plant(item, key) for item in value]
        if isinstance(value, str) and key not in _STRUCTURE and value not in ("inf", "nan"):
            return value + text
        return value

    return decode(Report, plant(encode(report)), {Mask: masks.parse})


@pytest.fixture(params=HOSTILE, scope="module")
def hostile(request: pytest.FixtureRequest) -> Report:
    """The example of every kind of outcome, with one hostile text everywhere."""
    return planted(example.KINDS, HOSTILE[request.param])


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def _tags(page: str) -> _Tags:
    parser = _Tags()
    parser.feed(page)
    parser.close()
    return parser


def test_html_has_only_its_own_tags(hostile: Report) -> None:
    """No tag and no attribute appears that a harmless report has not."""
    clean = _tags(html.render(compose.full(example.H200), "t"))
    seen = _tags(html.render(compose.full(hostile), "t"))
    assert seen.tags <= clean.tags
    assert seen.attributes <= clean.attributes


def test_html_holds_no_control_character(hostile: Report) -> None:
    """Only line breaks of the template remain."""
    page = html.render(compose.full(hostile), "t")
    assert all(c.isprintable() or c == "\n" for c in page)


def test_html_title_is_text() -> None:
    """The title is escaped too."""
    assert "<script>" not in html.render(compose.full(example.EMPTY), "<script>")


def test_markdown_makes_only_its_own_markup(hostile: Report) -> None:
    """As GitHub's parser reads it: no link, image or emphasis, and no HTML but ours."""
    text = markdown.render(compose.full(hostile))
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    tokens = parser.parse(text)
    inline = [child for token in tokens for child in token.children or ()]
    kinds = {token.type for token in (*tokens, *inline)}
    assert not {t for t in kinds if t.startswith(("link", "image", "em_", "strong", "s_", "hr"))}
    ours = re.compile(r"</?(?:b|code)>|<details><summary>[^<>]*</summary>\n?|</details>\n?")
    markup = [t.content for t in (*tokens, *inline) if t.type in ("html_inline", "html_block")]
    assert [m for m in markup if not ours.fullmatch(m)] == []


def test_markdown_tables_keep_their_columns(hostile: Report) -> None:
    """Every row of every table has as many cells as its head."""
    parts = _outside_code(markdown.render(compose.full(hostile))).split("\n\n")
    tables = [part.split("\n") for part in parts if part.startswith("| ")]
    assert len(tables) >= 5
    for rows in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1


def _outside_code(text: str) -> str:
    return re.sub(r"^(`{3,})\w*\n.*?\n\1$", "", text, flags=re.MULTILINE | re.DOTALL)


def test_markdown_mentions_and_links_nobody(hostile: Report) -> None:
    """GitHub finds no @name, #123, address or bare URL outside of code."""
    text = re.sub(r"`[^`\n]*`", "", _outside_code(markdown.render(compose.full(hostile))))
    text = re.sub(r"&#\d+;", "\u200b", text)
    assert not re.search(r"@\w|#\d|://|www\.|GH-\d", text)


def test_markdown_fits_an_issue(hostile: Report) -> None:
    """Whatever the strings, GitHub takes the text."""
    assert len(markdown.render(compose.full(hostile)).encode()) < 65_536


def test_text_is_printable(hostile: Report) -> None:
    """Plain text holds line breaks and printable characters only."""
    shown = terminal.text(compose.full(hostile))
    assert all(line.isprintable() for line in shown.split("\n"))


def test_terminal_gets_only_our_colours(hostile: Report) -> None:
    """On a colour terminal every escape is a colour of ours."""
    file = io.StringIO()
    console = Console(
        file=file, width=100, force_terminal=True, color_system="standard", _environ={}
    )
    terminal.render(compose.full(hostile), console)
    rest = re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())
    assert all(line.isprintable() for line in rest.split("\n"))


def test_rich_markup_is_shown_as_written() -> None:
    """`[red]` is text."""
    report = planted(example.KINDS, HOSTILE["rich"])
    assert "[red]x[/red] [link=http://x]y[/link] :skull:" in terminal.text(
        compose.info(report), 2000
    )


def test_json_is_ascii_and_reads_back(hostile: Report) -> None:
    """Printing the JSON cannot steer a terminal, and nothing is lost in it."""
    view = json_view.full(hostile)
    text = json_view.dumps(view)
    assert text.isascii()
    assert all(line.isprintable() for line in text.split("\n"))
    assert json.loads(text) == view
