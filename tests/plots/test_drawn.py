"""Pictures as matplotlib draws them: deterministic, safe within a page, and files when asked for."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from attnprobe.report import html, plots
from attnprobe.report.compose.figures import figures
from attnprobe.report.document import Document
from attnprobe.report.figure import Chart, Figure, Series
from attnprobe.report.plots import palette
from tests.plots.sweep import SWEPT

TIME, MEMORY, ROOF, SPEED = figures(SWEPT)
matplotlib = pytest.importorskip("matplotlib")  # the extra `plots`

NAMES = ("time", "memory", "roofline", "speed")
PINNED = re.search(r"matplotlib==(\S+)", Path("constraints.txt").read_text())
assert PINNED
HERE = Path(__file__).parent / "files"


@pytest.mark.skipif(
    matplotlib.__version__ != PINNED[1], reason=f"kept files are of matplotlib {PINNED[1]}"
)
@pytest.mark.parametrize(("name", "figure"), [*zip(NAMES, figures(SWEPT), strict=True)], ids=NAMES)
def test_picture_is_unchanged(name: str, figure: Figure, request: pytest.FixtureRequest) -> None:
    """The vector graphics equal the kept file, to the character."""
    file, seen = HERE / f"{name}.svg", plots.svg(figure)
    if request.config.getoption("--update-golden"):
        HERE.mkdir(exist_ok=True)
        file.write_text(seen, encoding="utf-8")
    assert seen == file.read_text(encoding="utf-8")


def test_the_users_own_settings_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A style sheet in somebody's home folder makes no other report."""
    before = plots.svg(TIME)
    monkeypatch.setitem(matplotlib.rcParams, "lines.linewidth", 9)
    monkeypatch.setitem(matplotlib.rcParams, "axes.facecolor", "red")
    assert plots.svg(TIME) == before
    assert matplotlib.rcParams["lines.linewidth"] == 9


def test_a_picture_follows_the_page() -> None:
    """Ink, grid and paper are the page's own; no font is named, no id but what is referred to."""
    drawn = plots.svg(TIME)
    assert "var(--ink" in drawn
    assert "var(--line" in drawn
    assert "var(--paper" in drawn
    assert "font-family" not in drawn
    referred = set(re.findall(r'(?:href="#|url\(#)(\w+)', drawn))
    assert set(re.findall(r' id="([^"]+)"', drawn)) <= referred


def test_numbers_in_words_stay_as_they_are() -> None:
    """Coordinates lose digits, words do not; nor do words that look like code."""
    text = "0.123456 #1b1f24 font-family: x; "
    drawn = plots.svg(replace(TIME, title=text))
    assert f">{text.strip()}<" in re.sub(r" +<", "<", drawn)


def test_names_from_a_stranger_are_text() -> None:
    """Markup, mathematics, comments and lone surrogates in a backend's name make no element."""
    hostile = "<script>$x_1$</script>-->\ud800&\x00"
    assert isinstance(TIME, Chart)
    drawn = plots.svg(replace(TIME, title=hostile, series=(replace(TIME.series[0], name=hostile),)))
    tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(drawn).iter()}
    assert tags == {"svg", "g", "path", "defs", "use", "text", "clipPath", "rect"}
    assert "$x_1$" in drawn


def test_no_two_of_forty_backends_look_alike() -> None:
    """Colour, marker and dashes together; among the first seven the colour alone, too."""
    pens = [palette.pen(slot) for slot in range(40)]
    assert len(set(pens)) == 40
    assert len({each.colour for each in pens[:7]}) == 7


def test_a_hollow_marker_is_paper(tmp_path: Path) -> None:
    """A wrong point alone has no ink inside, a right one has: counted in the vector graphics."""
    assert isinstance(TIME, Chart)
    only = replace(TIME.series[0].points[0], look="right")

    def fills(look: str) -> list[str]:
        point = replace(only, look=look)  # type: ignore[arg-type]
        chart = replace(TIME, series=(Series("one", 0, (point,)),), limits=())
        return re.findall(r"<use [^>]*fill: (#0072b2|var\(--paper)", plots.svg(chart))

    assert fills("right") == ["#0072b2"] * 2  # the point and its entry in the legend
    assert fills("wrong") == ["var(--paper"] * 2


def test_no_line_passes_where_there_is_no_number() -> None:
    """Two points with a withheld one between them are not joined."""
    assert isinstance(TIME, Chart)
    one, _, other = TIME.series[1].points[:3]

    def strokes(missing: tuple[tuple[float, str], ...]) -> int:
        series = Series("one", 0, (one, other), missing)  # type: ignore[arg-type]
        drawn = plots.svg(replace(TIME, series=(series,)))
        return len(re.findall(r'd="M [^"]* L [^"]*"[^>]*stroke: #0072b2; stroke-width: 2.8', drawn))

    assert strokes(()) == 1
    assert strokes(((1024, "withheld"),)) == 0


def test_files_are_written(tmp_path: Path) -> None:
    """One PNG a picture, numbered, named by its title, of a size that can be read."""
    written = plots.write([TIME, SPEED], tmp_path / "new" / "folder")
    assert [path.name for path in written] == [
        "01-train-time-of-fwd-bwd-over-m.png",
        "02-train-speed-of-fwd-bwd-as-a-multiple-of-sdpa-default.png",
    ]
    for path in written:
        head = path.read_bytes()[:24]
        assert head.startswith(b"\x89PNG\r\n\x1a\n")
        assert int.from_bytes(head[16:20], "big") > 1000


def test_the_page_holds_the_drawing() -> None:
    """With matplotlib there are vector graphics in the page, and no advice."""
    page = html.render(Document((TIME, SPEED)), "x")
    assert page.count("<svg") == 2
    assert "matplotlib" not in page


def test_a_broken_matplotlib_costs_the_pictures_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was built for another numpy raises whatever it likes; the page says so."""

    def fail(name: str) -> None:
        raise AttributeError("_ARRAY_API not found")

    monkeypatch.setattr("importlib.import_module", fail)
    plots.problem.cache_clear()
    try:
        page = html.render(Document((SPEED,)), "x")
    finally:
        plots.problem.cache_clear()
    assert "matplotlib cannot be imported: AttributeError: _ARRAY_API not found" in page
    assert "<pre>" in page


def test_a_page_without_matplotlib_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, in one line; the pictures are there, made of characters."""
    monkeypatch.setattr(plots, "problem", lambda: "matplotlib is not installed here")
    page = html.render(Document((TIME, SPEED)), "x")
    assert page.count("attnprobe[plots]") == 1
    assert "<svg" not in page
    assert page.count("<pre>") == 2
    assert "█" in page
