"""Text from anywhere is one printable line (or lines) before a renderer sees it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnprobe.report import plain
from attnprobe.report.document import Code, Span


@pytest.mark.parametrize(
    "colour",
    [
        "\x1b[31m",
        "\x1b[1;38;5;196m",
        "\x1b]0;title\x07",
        "\x1b]8;;http://x\x1b\\",
        "\x9b2J",
        "\x1bc",
    ],
)
def test_terminal_sequences_vanish(colour: str) -> None:
    """Colour, titles, links and resets say nothing in a report."""
    assert plain.line(f"a{colour}b") == "ab"


@pytest.mark.parametrize(
    "character", ["\x00", "\x07", "\u202e", "\u200b", "\ud800", "\ufeff", "\x1b"]
)
def test_unprintable_characters_are_spelled_out(character: str) -> None:
    """What a reader could not see is shown by its number."""
    shown = plain.line(f"a{character}")
    assert shown.isprintable()
    assert f"{ord(character):x}" in shown


@given(st.text(st.characters()))
def test_a_span_is_one_printable_line(text: str) -> None:
    """Whatever goes in, a span holds no control character and no line break."""
    assert Span(text).text.isprintable() or Span(text).text == ""


@given(st.text(st.characters()))
def test_code_holds_printable_lines(text: str) -> None:
    """Code keeps its line breaks and nothing else that cannot be printed."""
    assert all(line.isprintable() for line in Code(text).text.split("\n"))


def test_a_gigantic_line_is_cut_and_says_so() -> None:
    """A reader learns how long the string was."""
    shown = plain.line("x" * 1_000_000)
    assert len(shown) < 700
    assert "1,000,000 characters" in shown


def test_a_gigantic_trace_keeps_its_end() -> None:
    """The last line of a trace says what happened."""
    shown = plain.block("frame\n" * 100_000 + "ValueError: here")
    assert shown.endswith("ValueError: here")
    assert len(shown) < 4200
