"""`attnprobe profile` as a user runs it: real children on the CPU, few and small trials."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

TINY = """
name: tiny
source: a test
cases: [{name: self, Hq: 2, Mq: 16, K: 8, dtype: float32}]
"""

KERNELS = """
import torch

def right(query, *rest, **options):
    if query.shape[2] > 40:
        raise MemoryError("40 is the most")
    return torch.nn.functional.scaled_dot_product_attention(query, *rest, **options)

def doubled(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None,
            enable_gqa=False):
    return 2 * torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)
"""

CPU = ("--device", "cpu")
TWO = ("--backend", "eager", "--backend", "sdpa-default")


def profile(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "attnprobe", "profile", *arguments],
        capture_output=True,
        text=True,
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        timeout=170,
        check=False,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a user's workload and a user's kernel."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "tiny.yaml").write_text(TINY)
    (folder / "long.yaml").write_text(TINY.replace("tiny", "long"))
    (folder / "kernels.py").write_text(KERNELS)
    return folder


@pytest.fixture(scope="module")
def swept(place: Path) -> subprocess.CompletedProcess[str]:
    """Three lengths, two backends, kept in a session."""
    wanted = ("--sweep", "M=16..64", "--session", "swept.jsonl", "--json", "swept.json")
    return profile(place, "tiny.yaml", *TWO, *wanted, *CPU)


@pytest.mark.slow
def test_a_sweep_is_measured_and_shown(swept: subprocess.CompletedProcess[str]) -> None:
    """Number of trials and duration first, tables on stdout, the next command last."""
    assert swept.returncode == 0, swept.stderr
    assert "6 timings of 3 cases, about" in swept.stderr.splitlines()[0]
    assert "self over M (fp32)" in swept.stdout
    assert "growth with M" in swept.stdout
    assert "next: attnprobe profile tiny.yaml --max-length" in swept.stderr


@pytest.mark.slow
def test_every_timing_has_its_verdict_memory_and_rival(
    swept: subprocess.CompletedProcess[str], place: Path
) -> None:
    """Right, weighed in a fresh process, and compared with what torch would have taken."""
    view = json.loads((place / "swept.json").read_text())
    assert len(view["trials"]) == 6
    assert {trial["verdict"] for trial in view["trials"]} == {"pass"}
    assert all("fresh process" in trial["memory"] for trial in view["trials"])
    assert all(trial["peak_bytes"] >= trial["floor_bytes"] for trial in view["trials"])
    versus = [t["versus"] for t in view["trials"] if t["backend"] == "eager"]
    assert {each["rival"] for each in versus} == {"sdpa-default"}


@pytest.mark.slow
def test_resume_measures_nothing_twice(
    swept: subprocess.CompletedProcess[str], place: Path
) -> None:
    """The same command with --resume finds everything there."""
    before = (place / "swept.jsonl").read_text().count('"type": "record"')
    wanted = ("--sweep", "M=16..64", "--session", "swept.jsonl", "--resume")
    again = profile(place, "tiny.yaml", *TWO, *wanted, *CPU)
    assert again.returncode == 0, again.stderr
    assert "0 timings of 0 cases" in again.stderr
    assert "(6 are in the session already)" in again.stderr
    assert (place / "swept.jsonl").read_text().count('"type": "record"') == before


@pytest.mark.slow
def test_a_wrong_kernel_is_wrong_and_not_fast(place: Path) -> None:
    """Exit 1; it has a verdict, no time and no rank, and its script is the next step."""
    done = profile(place, "tiny.yaml", "--backend", "kernels.py:doubled", *TWO, "--json", "-", *CPU)
    assert done.returncode == 1, done.stderr
    trial = next(t for t in json.loads(done.stdout)["trials"] if ":" in t["backend"])
    assert trial["verdict"] == "fail"
    assert trial["fwd_s"] is None
    assert trial["withheld"]
    assert trial["versus"] is None
    assert "next: attnprobe repro" in done.stderr


@pytest.mark.slow
def test_the_longest_that_fits_is_found_within_a_budget(place: Path) -> None:
    """What the budget cuts short is said; nothing is lost."""
    wanted = ("--backend", "eager", "--max-length", "--budget", "2", "--against", "none")
    done = profile(place, "tiny.yaml", *wanted, "--json", "-", *CPU)
    assert done.returncode == 0, done.stderr
    view = json.loads(done.stdout)
    cut = [note for note in view["notes"] if "cut short" in note]
    assert view["max_length"] or cut


@pytest.mark.slow
def test_a_limit_is_no_failure(place: Path) -> None:
    """A callable of one's own that runs out of memory or time where that is sought exits 0."""
    wanted = ("--backend", "kernels.py:right", "--max-length", "--against", "none")
    done = profile(place, "long.yaml", *wanted, "--json", "-", *CPU)
    assert done.returncode == 0, done.stderr
    (limit,) = json.loads(done.stdout)["max_length"]
    assert limit["fits"] <= 40 < limit["fails"]
    assert limit["limited_by"] == "out_of_memory"


def test_an_exploding_sweep_is_asked_about(place: Path) -> None:
    """Exit 2 with how many and how long; no session is left behind."""
    wanted = ("--sweep", "M=16..4096+16", "--session", "many.jsonl")
    done = profile(place, "tiny.yaml", *TWO, *wanted, *CPU)
    assert done.returncode == 2
    assert "512 timings of 256 cases, about" in done.stderr
    assert "--yes" in done.stderr
    assert not (place / "many.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--sweep", "Foo=1"), "no field 'Foo'"),
        (("--sweep", "Hkv=3"), "Hkv=3 does not divide Hq=2"),
        (("--sweep", "M=1..1000000+1"), "more than 2000 values"),
        (("--shape", "1,2"), "not a shape"),
        (("--against", "nosuch"), "unknown backend 'nosuch'"),
        (("--target-ci", "0"), "--target-ci"),
        (("--resume",), "--session"),
    ],
)
def test_bad_input_exits_two(place: Path, arguments: tuple[str, ...], words: str) -> None:
    """Each in words, before anything is started."""
    done = profile(place, "tiny.yaml", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
