"""On a CUDA device: the longest that fits is the allocator's limit, and rivals run as themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, OutOfMemory
from attnprobe.core.trial import Trial
from attnprobe.worker.host import Worker

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

CASE = Case(2, 8, 8, 2048, 2048, 64, 64, device="cuda")
MIB = 2**20


def test_memory_without_a_reference_is_that_of_the_timing() -> None:
    """Math holds four score matrices, flash none; `fits` and `time` agree to a megabyte."""
    with Worker() as worker:
        for backend in ("sdpa-math", "sdpa-flash"):
            alone = worker.trial(Trial(CASE, backend, "fits"), 60.0).outcome
            timed = worker.trial(Trial(CASE, backend, "time"), 60.0).outcome
            assert isinstance(alone, Measured)
            assert isinstance(timed, Measured)
            assert alone.timing is not None
            assert timed.timing is not None
            assert alone.timing.peak_bytes == pytest.approx(timed.timing.peak_bytes, abs=MIB)


def test_beyond_the_memory_is_out_of_memory_and_the_next_trial_runs() -> None:
    """No estimate refuses it, the allocator does; what follows has all memory again."""
    with Worker() as worker:
        long = CASE.edit(Mq=2**18, Mkv=2**18)
        assert isinstance(worker.trial(Trial(long, "sdpa-math", "fits"), 60.0).outcome, OutOfMemory)
        assert isinstance(worker.trial(Trial(CASE, "sdpa-math", "fits"), 60.0).outcome, Measured)


def test_math_is_slower_than_what_torch_takes() -> None:
    """The rival runs outside of the context that selects math: else the ratio would be 1."""
    trial = Trial(CASE, "sdpa-math", "compare", rival="sdpa-default")
    with Worker() as worker:
        outcome = worker.trial(trial, 60.0).outcome
    assert isinstance(outcome, Measured)
    assert outcome.versus is not None
    assert outcome.versus.fwd is not None
    assert outcome.versus.fwd.low > 3


def test_a_profile_of_a_sweep(tmp_path: Path) -> None:
    """Three lengths and two backends with their limit: exponents, ratios and the longest."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "attnprobe", "profile", "--mask", "gpt2-training"),
            *("--backend", "sdpa-math", "--backend", "sdpa-default", "--sweep", "M=1024..4096"),
            *("--max-length", "--session", str(tmp_path / "s.jsonl"), "--json", "-"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    view = json.loads(done.stdout)
    assert len(view["trials"]) == 6
    memory = {s["backend"]: s for s in view["scaling"] if s["quantity"] == "memory"}
    assert memory["sdpa-math"]["exponent"] == pytest.approx(2.0, abs=0.1)
    assert memory["sdpa-default"]["exponent"] == pytest.approx(1.0, abs=0.1)
    limits = {limit["backend"]: limit for limit in view["max_length"]}
    assert limits["sdpa-math"]["limited_by"] == "out_of_memory"
    assert limits["sdpa-math"]["fails"] - limits["sdpa-math"]["fits"] <= 512
    assert limits["sdpa-default"]["fits"] > 10 * limits["sdpa-math"]["fits"]
