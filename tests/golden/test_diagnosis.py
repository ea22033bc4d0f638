"""The views of a diagnosis are what they were; `--update-golden` accepts what they have become."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from attnprobe.core.report import Report
from attnprobe.report import compose, html, json_view, markdown, terminal
from tests.golden.diagnosed import DIAGNOSED, HEALTHY, SUSPECTED

VIEWS: dict[str, Callable[[Report], str]] = {
    "diagnose.txt": lambda report: terminal.text(compose.diagnose(report)),
    "diagnose.md": lambda report: markdown.render(compose.diagnose(report)),
    "diagnose.html": lambda report: html.render(compose.diagnose(report), "attnprobe diagnose"),
    "diagnose.json": lambda report: json_view.dumps(json_view.diagnose(report)),
}
REPORTS = {"proven": DIAGNOSED, "suspected": SUSPECTED, "healthy": HEALTHY}


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("view", VIEWS)
def test_view_is_unchanged(name: str, view: str, request: pytest.FixtureRequest) -> None:
    """The view equals the kept file, to the character."""
    file = Path(__file__).parent / "files" / f"{name}.{view}"
    seen = VIEWS[view](REPORTS[name])
    if request.config.getoption("--update-golden"):
        file.write_text(seen, encoding="utf-8")
    assert seen == file.read_text(encoding="utf-8")


def test_no_line_is_wider_than_the_terminal() -> None:
    """The tables fit one hundred columns."""
    for report in REPORTS.values():
        assert max(map(len, VIEWS["diagnose.txt"](report).split("\n"))) <= 100


def test_the_evidence_has_prediction_measurement_and_both_times() -> None:
    """A maintainer sees what was predicted, what was measured, and before and after."""
    text = " ".join(VIEWS["diagnose.txt"](DIAGNOSED).split())
    assert "Predicted 5-20x time" in text
    assert "measured 15.4x [15.1x, 15.7x], 0.955 ms -> 62.0 us" in text


def test_the_advice_respects_what_is_needed() -> None:
    """The fastest that is right is passed over, because it is not deterministic and must be."""
    view = json.loads(VIEWS["diagnose.json"](DIAGNOSED))
    advice = next(b for b in view["best"].values() if b["where"] == "custom-mask fp32")
    assert advice["backend"] == "xformers-default"
    assert advice["passed"][0] == {
        "backend": "sdpa-mem-efficient",
        "why": "determinism: dq moves",
    }


def test_the_json_has_the_keys_that_others_rely_on() -> None:
    """The contract of `diagnose --json`."""
    view = json.loads(VIEWS["diagnose.json"](DIAGNOSED))
    wanted = {"code", "name", "severity", "verdict", "where", "prediction", "measured", "saves_s",
              "saves_bytes", "fix", "references"}  # fmt: skip
    assert all(wanted <= finding.keys() for finding in view["findings"])
    verdicts = {finding["code"]: finding["verdict"] for finding in view["findings"]}
    assert verdicts == {
        "AP010": "confirmed",
        "AP054": "confirmed",
        "AP093": "confirmed",
        "AP033": "inconclusive",
        "AP055": "refuted",
        "AP121": "would_test",
    }
    fp32 = next(finding for finding in view["findings"] if finding["code"] == "AP054")
    assert fp32["saves_s"] == pytest.approx(12 * (9.55e-4 - 6.2e-5))
    assert fp32["saves_bytes"] == 28 * 2**20
