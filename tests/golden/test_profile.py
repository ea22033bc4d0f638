"""The views of a profile are what they were; `--update-golden` accepts what they have become."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from attnprobe.core.report import Report
from attnprobe.report import compose, html, json_view, markdown, terminal
from tests.golden.profiled import PROFILED, UNTIMED

VIEWS: dict[str, Callable[[Report], str]] = {
    "profile.txt": lambda report: terminal.text(compose.profile(report)),
    "profile.md": lambda report: markdown.render(compose.profile(report)),
    "profile.html": lambda report: html.render(compose.profile(report), "attnprobe profile"),
}


@pytest.mark.parametrize(("name", "report"), [("swept", PROFILED), ("untimed", UNTIMED)])
@pytest.mark.parametrize("view", VIEWS)
def test_view_is_unchanged(
    name: str, report: Report, view: str, request: pytest.FixtureRequest
) -> None:
    """The view equals the kept file, to the character."""
    file = Path(__file__).parent / "files" / f"{name}.{view}"
    seen = VIEWS[view](report)
    if request.config.getoption("--update-golden"):
        file.write_text(seen, encoding="utf-8")
    assert seen == file.read_text(encoding="utf-8")


def test_no_line_is_wider_than_the_terminal() -> None:
    """The tables fit one hundred columns."""
    lines = VIEWS["profile.txt"](PROFILED).split("\n")
    assert max(map(len, lines)) <= 100


def test_a_wrong_backend_shows_no_time() -> None:
    """It is wrong in every table, in words and with its glyph, and has no rank."""
    text = VIEWS["profile.txt"](PROFILED)
    rows = [line for line in text.split("\n") if line.startswith("kernel.py:mine")]
    assert sum("✗" in row for row in rows) >= 3
    assert not any(letter.isdigit() for row in rows for letter in row)


def test_what_readers_must_know_is_said() -> None:
    """Launch-bound, fallen back, out of memory, withheld with its reason, shared with whom."""
    text = " ".join(VIEWS["profile.txt"](PROFILED).split())
    for words in (
        "L launch-bound: the GPU waits for the host",
        "sdpa-default: fell back to unfused math",
        "oom out of memory",
        "fwd_bwd_s: another process had kernels",
        "the machine meanwhile: SM clock 1980 of 1980 MHz",
        "sdpa-cudnn overtakes sdpa-default between M=512 and M=2048",
        "left out of the sweep: Hkv=3",
        "A = attended (query, key) pairs",
    ):
        assert words in text, words


def test_the_json_has_the_keys_that_others_rely_on() -> None:
    """The contract of `profile --json`."""
    view = json.loads(json_view.dumps(json_view.profile(PROFILED)))
    assert {
        "schema",
        "environment",
        "trials",
        "scaling",
        "crossovers",
        "max_length",
        "reported",
    } <= (view.keys())
    wanted = {
        "id", "backend", "case", "verdict", "fwd_s", "bwd_s", "fwd_bwd_s", "first_call_s",
        "peak_bytes", "floor_bytes", "tflops", "roofline_share", "kernels", "unexpected_kernel",
        "versus", "conditions", "withheld", "rates", "launch_bound",
    }  # fmt: skip
    assert all(wanted <= trial.keys() for trial in view["trials"])
    assert len({trial["id"] for trial in view["trials"]}) == len(view["trials"])
    flash = next(t for t in view["trials"] if t["backend"] == "sdpa-flash")
    assert {"median", "low", "high", "n"} <= flash["fwd_s"].keys()
    assert flash["versus"]["rival"] == "sdpa-default"
    assert flash["versus"]["fwd"]["verdict"] == "indistinguishable"
    law = next(
        s for s in view["scaling"] if (s["backend"], s["quantity"]) == ("sdpa-flash", "memory")
    )
    assert law["exponent"] == pytest.approx(1.0)
    assert law["field"] == "M"
    assert {c["faster_above"] for c in view["crossovers"]} >= {"sdpa-cudnn"}
    limits = {limit["backend"]: limit for limit in view["max_length"]}
    assert limits["sdpa-flash"]["fits"] == 2**20
    assert limits["xformers-fa2"]["fits"] is None
