"""Pictures made of characters: what they must show without colour, on any terminal."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from attnprobe.report import markdown, terminal
from attnprobe.report.compose.figures import figures
from attnprobe.report.document import Document
from attnprobe.report.figure import Axis, Bar, Bars, Chart, Point, Series
from tests.plots.sweep import SWEPT

HERE = Path(__file__).parent / "files"


def shown(*found: Chart | Bars, width: int = 100) -> list[str]:
    return terminal.text(Document(found), width).rstrip("\n").split("\n")


def chart(*series: Series) -> Chart:
    return Chart("title", "subtitle", Axis("M", at=(1, 10, 100)), Axis("time", "s"), series)


def one(x: float, y: float, **more: str) -> Point:
    return Point(x, y, y, y, **more)  # type: ignore[arg-type]


def grid(lines: list[str]) -> list[str]:
    """What stands right of the left edge."""
    return [
        line.partition("│")[2] or line.partition("┤")[2] for line in lines if set("│┤") & set(line)
    ]


def test_pictures_are_unchanged(request: pytest.FixtureRequest) -> None:
    """The text equals the kept file, to the character."""
    file, seen = HERE / "sweep.txt", terminal.text(Document(tuple(figures(SWEPT))))
    if request.config.getoption("--update-golden"):
        HERE.mkdir(exist_ok=True)
        file.write_text(seen, encoding="utf-8")
    assert seen == file.read_text(encoding="utf-8")


def test_points_lie_where_their_numbers_say() -> None:
    """A power law of slope one is a diagonal: the middle point halfway, on a logarithmic grid."""
    rows = grid(shown(chart(Series("a", 0, (one(1, 1e-3), one(10, 1e-2), one(100, 1e-1))))))
    (top, right), (middle, half), (bottom, left) = (
        (at, row.index("A")) for at, row in enumerate(rows) if "A" in row
    )
    assert abs((top + bottom) / 2 - middle) <= 0.5
    assert abs((left + right) / 2 - half) <= 0.5
    assert left < half < right


def test_a_wrong_point_is_a_small_letter() -> None:
    """The legend says of whom, in words."""
    text = "\n".join(shown(chart(Series("a", 0, (one(1, 1.0), one(10, 2.0, look="wrong"))))))
    assert "A a (a: wrong)" in text
    assert sum(row.count("a") for row in grid(text.split("\n"))) == 1


def test_who_ran_out_of_memory_stands_in_its_lane() -> None:
    """At the length that did not fit."""
    lines = shown(chart(Series("a", 1, (one(1, 1.0),), ((100, "out of memory"),))))
    lane = next(line for line in lines if line.startswith("out of memory"))
    assert lane.rstrip().endswith("B")


def test_points_that_meet_stand_side_by_side() -> None:
    """None is lost until there is no room, and then that is said."""
    alike = [Series(f"b{n}", n, (one(1, 1.0),)) for n in range(9)]
    rows = "\n".join(grid(shown(chart(*alike[:4]))))
    assert all(rows.count(letter) == 1 for letter in "ABCD")
    assert "+" in "\n".join(grid(shown(chart(*alike))))


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_picture_fits_the_terminal(width: int) -> None:
    """Whatever is in it."""
    assert max(map(len, shown(*figures(SWEPT), width=width))) <= width


def test_bars_begin_at_one() -> None:
    """To the right the faster ones, to the left the slower ones, as long as their logarithms."""
    bars = Bars("t", "s", (Bar("fast", 0, 2, 1.9, 2.1), Bar("slow", 1, 0.5, 0.45, 0.55, "wrong")))
    fast, slow = shown(bars)[2:4]
    assert fast.index("│") == slow.index("│")
    assert fast.index("█") > fast.index("│")
    assert slow.index("░") < slow.index("│")
    assert abs(fast.count("█") - slow.count("░")) <= 1
    assert "2.00x [1.90,2.10]" in fast


def test_a_terminal_without_these_characters_gets_others() -> None:
    """An ASCII console shows a picture, not question marks."""
    file = io.TextIOWrapper(io.BytesIO(), "ascii")
    terminal.render(Document(tuple(figures(SWEPT))), Console(file=file, width=100, _environ={}))
    file.flush()
    assert "?" not in file.buffer.getvalue().decode()  # type: ignore[attr-defined]


def test_markdown_has_the_same_picture() -> None:
    """In a code block, where a ticket keeps its columns."""
    bars = figures(SWEPT)[3]
    text = markdown.render(Document((bars,)))
    assert text.startswith("```text\ntrain: speed of fwd+bwd")
    assert "█" in text


def test_a_long_ticket_loses_pictures_before_tables() -> None:
    """And says how many."""
    many = [replace(each, title=f"{n}") for n in range(200) for each in figures(SWEPT)[:1]]
    text = markdown.render(Document(tuple(many)))
    assert "200 pictures: left out" in text
