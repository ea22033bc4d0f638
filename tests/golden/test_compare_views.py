"""The views of a comparison are what they were; `--update-golden` accepts what they have become."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from attnprobe.compare import compare
from attnprobe.compare.records import Comparison
from attnprobe.core.report import Report
from attnprobe.report import compare_json, html, json_view, markdown, terminal
from attnprobe.report.compose.compare import compare as composed
from tests.golden import example, upgrade

VIEWS: dict[str, Callable[[Comparison], str]] = {
    "txt": lambda found: terminal.text(composed(found)),
    "md": lambda found: markdown.render(composed(found)),
    "html": lambda found: html.render(composed(found), "attnprobe compare"),
    "json": lambda found: json_view.dumps(compare_json.compare(found)),
}
SESSIONS: dict[str, tuple[Report, Report]] = {
    "upgrade": (upgrade.OLD, upgrade.NEW),
    "unchanged": (example.SOUND, example.SOUND),
    "kinds": (example.KINDS, example.KINDS),
    "torn": (example.INTERRUPTED, example.H200),
}


@pytest.mark.parametrize(
    ("name", "view"),
    [("upgrade", "txt"), ("upgrade", "md"), ("unchanged", "md"), ("kinds", "json")],
)
def test_view_is_unchanged(name: str, view: str, request: pytest.FixtureRequest) -> None:
    """The view equals the kept file, to the character."""
    file = Path(__file__).parent / "files" / f"compare.{name}.{view}"
    seen = VIEWS[view](compare(*SESSIONS[name]))
    if request.config.getoption("--update-golden"):
        file.write_text(seen, encoding="utf-8")
    assert seen == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", SESSIONS)
def test_every_comparison_has_every_view(name: str, view: str) -> None:
    """Upgraded, unchanged and torn sessions can all be shown."""
    assert VIEWS[view](compare(*SESSIONS[name]))
