"""`attnprobe diagnose` and `explain` as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TILED = ("--shape", "1,8,2,64,64,32", "--dtype", "fp32", "--habit", "kv-tiled", "--device", "cpu")


def attnprobe(*arguments: str, place: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "attnprobe", *arguments],
        capture_output=True,
        text=True,
        cwd=place or ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        timeout=170,
        check=False,
    )


def test_a_planted_pitfall_is_proven(tmp_path: Path) -> None:
    """Prediction, experiment, verdict, fix: and the exit code that was asked for."""
    pytest.importorskip("torch")
    done = attnprobe(
        "diagnose", *TILED, "--only", "AP010", "--fail-on", "confirmed:high", "--json",
        str(tmp_path / "d.json"), "--session", str(tmp_path / "d.jsonl"),
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "1 pitfall proven here" in done.stdout
    assert "enable_gqa=True" in done.stdout
    (finding,) = json.loads((tmp_path / "d.json").read_text())["findings"]
    assert (finding["code"], finding["verdict"]) == ("AP010", "confirmed")
    assert finding["remedy"]["verified"] is True
    again = attnprobe("render", str(tmp_path / "d.jsonl"), "--format", "md")
    assert "enable_gqa=True" in again.stdout


def test_no_run_starts_nothing(tmp_path: Path) -> None:
    """Suspicions are listed as what would be tested; no session is written."""
    done = attnprobe("diagnose", *TILED, "--no-run", place=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Would be tested" in done.stdout
    assert "AP010" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_no_run_needs_no_gpu() -> None:
    """A call for CUDA is looked into where there is none."""
    done = attnprobe("diagnose", "xformers-issue-700", "--no-run", "--device", "cuda")
    assert done.returncode == 0, done.stderr
    assert "AP054" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--only", "AP9999"), "there is no pitfall"),
        (("--only", "fp32-input"), "did you mean fp32-inputs"),
        (("--only", "AP010", "--skip", "AP010"), "no pitfall is left"),
        (("--fail-on", "sometimes:high"), "VERDICT:SEVERITY"),
        (("--shape", "1,2,3"), "six integers"),
        (("--shape", "1,8,3,64,64,32"), "Hkv=3 does not divide Hq=8"),
        (("--shape", "1,8,8,64,64,32", "--habit", "kv-tiles"), "did you mean kv-tiled"),
        (("--shape", "1,8,8,64,64,32", "--case", "layuot=BHMK"), "did you mean layout"),
        (("--shape", "1,8,8,64,64,32", "--case", "layout"), "NAME=VALUE"),
        (("first-timing", "--case", "layout=BHMK"), "leave out WORKLOAD"),
        (("no-such-workload",), "there is no workload"),
    ],
)
def test_bad_input_is_answered_in_words(arguments: tuple[str, ...], words: str) -> None:
    """Exit 2, what and how to fix it, no traceback."""
    done = attnprobe("diagnose", "--no-run", "--device", "cpu", *arguments)
    assert done.returncode == 2, done.stdout
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_explain_shows_the_page() -> None:
    """By code and by name; piped, it is Markdown."""
    by_code, by_name = attnprobe("explain", "ap054"), attnprobe("explain", "fp32-inputs")
    assert by_code.stdout == by_name.stdout
    assert by_code.stdout.startswith("# AP054 fp32-inputs")
    assert "**Remedy.**" in by_code.stdout


def test_explain_lists_rules_and_habits() -> None:
    """One line each, by code."""
    rules, habits = attnprobe("explain").stdout, attnprobe("explain", "--habits").stdout
    codes = [line.split()[0] for line in rules.splitlines()]
    assert codes == sorted(codes)
    assert "kv-tiled" in habits


def test_explain_of_what_does_not_exist() -> None:
    """What is near is named."""
    done = attnprobe("explain", "fp32")
    assert done.returncode == 2
    assert "fp32-inputs" in done.stderr


SCRIPT = """
import sys
import torch
import torch.nn.functional as F

q, k, v = (torch.randn(1, 4, 64, 32, requires_grad=True) for _ in range(3))
mask = torch.ones(64, 64, dtype=torch.bool).tril()
F.scaled_dot_product_attention(q, k, v, attn_mask=mask).sum().backward()
print("trained")
sys.exit(int(sys.argv[1]))
"""


@pytest.mark.parametrize("code", ["0", "3"])
def test_a_script_is_run_and_looked_into(tmp_path: Path, code: str) -> None:
    """Its output is its own, its line is where findings are, and its failure does not lose them."""
    pytest.importorskip("torch")
    (tmp_path / "train.py").write_text(SCRIPT)
    json_ = str(tmp_path / "d.json")
    done = attnprobe(
        "diagnose", "--budget", "20", "--device", "cpu", "--json", json_, "--", "train.py", code,
        place=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("trained")
    assert ("ended with exit code 3" in done.stderr) == (code == "3")
    (best,) = json.loads((tmp_path / "d.json").read_text())["best"].values()
    assert best["where"] == "train.py:8 fp32"
    assert best["backend"]


def test_a_script_that_is_not_there() -> None:
    """Nothing is started."""
    done = attnprobe("diagnose", "--", "no_such.py", "--lr", "3")
    assert done.returncode == 2
    assert "there is no script" in done.stderr
