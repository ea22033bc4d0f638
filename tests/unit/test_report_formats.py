"""What each renderer promises beyond its golden file."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import pairwise

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from attnprobe.core.report import Report
from attnprobe.core.trial import Record
from attnprobe.report import compose, html, markdown, terminal
from attnprobe.report.document import (
    Bullets,
    Code,
    Column,
    Document,
    Folded,
    Heading,
    Paragraph,
    Table,
    code,
    line,
)
from attnprobe.report.shrink import shrunk
from tests.golden import example


def _many(count: int) -> Report:
    """The example with many times the cases, each under a name of its own."""
    records = tuple(
        replace(
            r,
            trial=replace(r.trial, case=replace(r.trial.case, name=f"case {i} {'x' * 30}", seed=i)),
        )
        for i in range(count)
        for r in example.H200.records
    )
    return replace(example.H200, records=records)


@pytest.mark.parametrize("count", [1, 4, 10])
def test_markdown_always_fits_an_issue(count: int) -> None:
    """However many trials there are."""
    assert len(markdown.render(compose.full(_many(count))).encode()) < 65_536


def test_markdown_names_what_it_left_out() -> None:
    """A reader of a shortened report knows that there is more, and where."""
    text = markdown.render(compose.full(_many(10)))
    assert "left out because the text would be too long; the JSON report has" in text


def test_markdown_keeps_the_summary_to_the_last() -> None:
    """The verdict, the environment and the backends outlive every table behind them."""
    text = markdown.render(compose.full(_many(10)))
    assert "Wrong results from" in text
    assert "NVIDIA H200" in text


def test_a_long_table_keeps_its_first_rows() -> None:
    """It is cut at its end, not left out as a whole."""
    rows = tuple((line(f"row {i} {'x' * 100}"),) for i in range(5000))
    text = markdown.render(Document((Table((Column("x"),), rows), Paragraph(line("behind it")))))
    assert "row 4 " in text
    assert "behind it" in text


def test_shrinking_ends_with_almost_nothing() -> None:
    """The last version is one note, so any limit can be met."""
    *_, last = shrunk(compose.full(example.H200))
    assert len(last.blocks) == 1


def test_shrinking_never_grows() -> None:
    """Each version says at most what the one before said."""
    sizes = [len(terminal.text(each)) for each in shrunk(compose.full(example.H200))]
    assert all(after <= before + 200 for before, after in pairwise(sizes))


@pytest.mark.parametrize("text", ["a|b", "`a`", "a`|`b"])
def test_code_in_a_markdown_table_keeps_its_cell(text: str) -> None:
    """Bars and backticks do not end it."""
    table = Table((Column("x"), Column("y")), ((line(code(text)), line("z")),))
    row = markdown.render(Document((table,))).split("\n")[2]
    assert row.replace("\\|", "").count("|") == 3


def test_code_fence_is_longer_than_what_it_holds() -> None:
    """Backticks inside do not close it."""
    assert "````text\n```\n````" in markdown.render(Document((Code("```", "text"),)))


@pytest.mark.parametrize("start", ["- x", "+ x", "1. x", "# x", "> x", "===", "    x", "* x"])
def test_a_markdown_paragraph_stays_one(start: str) -> None:
    """Whatever it begins with is text."""
    tokens = MarkdownIt("commonmark").parse(markdown.render(Document((Paragraph(line(start)),))))
    assert [t.type for t in tokens] == ["paragraph_open", "inline", "paragraph_close"]


@pytest.mark.parametrize("start", ["", "- ", "> ", "1. ", "# "])
@pytest.mark.parametrize(
    "text",
    [
        "a < b & c > d &lt; &#60; x_y_z _i_ *b* `c` ~s~ $m$ [l](u) |bar| \\*",
        "@name owner/repo#12 GH-3 https://x.example www.x.example :smile: a@b.example",
    ],
)
def test_a_markdown_paragraph_reads_as_written(start: str, text: str) -> None:
    """Parsed and shown, the words are the ones that were meant, but for invisible breaks of links."""
    source = markdown.render(Document((Paragraph(line(start + text)),)))
    inline = MarkdownIt("commonmark").parse(source)[1]
    shown = "".join(child.content for child in inline.children or ())
    assert shown.replace("\u200b", "") == (start + text).strip()


def test_text_keeps_to_its_width() -> None:
    """Nothing but commands and stacks runs over 100 columns."""
    wide = [
        each for each in terminal.text(compose.full(example.H200)).split("\n") if len(each) > 100
    ]
    assert [each for each in wide if not each.startswith("    ")] == []


def test_twenty_five_backends_fit_the_width() -> None:
    """The matrix of a full machine needs no second panel."""
    some = example.H200.records[:1]
    records = tuple(
        replace(r, trial=replace(r.trial, backend=f"backend-number-{i:02}"))
        for i in range(25)
        for r in some
    )
    assert max(map(len, terminal.text(compose.check(Report(records=records))).split("\n"))) <= 100


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_without_unicode_gets_other_glyphs(encoding: str) -> None:
    """Nothing is raised, and right and wrong still differ."""
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding=encoding), width=100, _environ={})
    terminal.render(compose.check(example.H200), console)
    console.file.flush()
    shown = raw.getvalue().decode(encoding)
    assert "+ right" in shown
    assert "x wrong" in shown


def test_a_pipe_gets_no_colour() -> None:
    """Piped output is plain text."""
    file = io.StringIO()
    terminal.render(compose.check(example.H200), Console(file=file, width=100, _environ={}))
    assert "\x1b" not in file.getvalue()


def test_commands_are_not_wrapped() -> None:
    """A command can be copied in one piece."""
    command = "attnprobe check " + "--backend x " * 20
    assert command.strip() in terminal.text(Document((Code(command, "sh"),)))


def test_html_needs_no_network_and_no_script() -> None:
    """One file: nothing is fetched and nothing runs."""
    page = html.render(compose.full(example.H200), "t")
    assert "<script" not in page
    assert "http" not in page.replace('http-equiv="Content-Security-Policy"', "")
    assert "url(" not in page
    assert "default-src 'none'" in page


def test_the_same_numbers_stand_in_every_format() -> None:
    """Renderers decide nothing: every number of the text is in the page and in the Markdown."""
    document = compose.full(example.H200)
    for number in ("0.168 [0.167,0.169]", "41.2x", "1.03 GiB", "65.8x"):
        for shown in (terminal.text(document, 400), html.render(document, "t")):
            assert number in shown
        assert number.replace("[", "\\[").replace("]", "\\]") in markdown.render(document)


def test_nested_blocks_are_rendered() -> None:
    """A folded part holds any block, another folded part included."""
    inner = Folded("inner", (Bullets((line("deep"),)), Heading("title", 4)))
    document = Document((Folded("outer", (inner,)),))
    for shown in (terminal.text(document), markdown.render(document), html.render(document, "t")):
        assert "deep" in shown


def test_records_without_phases_have_no_phase_table() -> None:
    """Nothing is divided by nothing."""
    bare = tuple(Record(r.trial, r.outcome) for r in example.H200.records[:3])
    assert "Where the time went" not in terminal.text(compose.full(Report(records=bare)))
