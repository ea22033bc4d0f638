"""Every view of the fixed reports is what it was; `--update-golden` accepts what it has become."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from attnprobe.core.report import Report
from attnprobe.report import compose, html, json_view, markdown, terminal
from attnprobe.report.document import Document
from tests.golden import example

VIEWS: dict[str, Callable[[Report], str]] = {
    "info.txt": lambda report: terminal.text(compose.info(report)),
    "check.txt": lambda report: terminal.text(compose.check(report)),
    "full.txt": lambda report: terminal.text(compose.full(report)),
    "full.md": lambda report: markdown.render(compose.full(report)),
    "full.html": lambda report: html.render(compose.full(report), "attnprobe report"),
    "full.json": lambda report: json_view.dumps(json_view.full(report)),
}
PARTS: dict[str, Callable[[Report], str]] = {
    "reported.txt": lambda report: terminal.text(Document(compose.reported(report))),
    "reported.md": lambda report: markdown.render(Document(compose.reported(report))),
}
KEPT = [
    *(("h200", view) for view in VIEWS if view != "full.json"),
    *(("reported", view) for view in PARTS),
    ("kinds", "full.json"),
    ("empty", "full.md"),
    ("interrupted", "full.md"),
    ("torchless", "info.txt"),
    ("sound", "full.md"),
]


@pytest.mark.parametrize(("name", "view"), KEPT)
def test_view_is_unchanged(name: str, view: str, request: pytest.FixtureRequest) -> None:
    """The view equals the kept file, to the character."""
    file = Path(__file__).parent / "files" / f"{name}.{view}"
    seen = (VIEWS | PARTS)[view](example.ALL[name])
    if request.config.getoption("--update-golden"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(seen, encoding="utf-8")
    assert seen == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", example.ALL)
def test_every_report_has_every_view(name: str, view: str) -> None:
    """No report is too odd to be shown: empty, interrupted, without torch."""
    assert VIEWS[view](example.ALL[name])
