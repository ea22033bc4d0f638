"""`info` against real children: the environment that runs the tests, and one that holds nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from attnprobe import info
from attnprobe.core.trial import Record, Trial
from attnprobe.remedies import warnings
from attnprobe.worker.host import Worker


def test_this_machine_is_described_and_a_backend_proven() -> None:
    """Claim and fact of one backend, from a child that holds torch."""
    pytest.importorskip("torch")
    with Worker() as worker:

        def run(trials: Sequence[Trial]) -> list[Record]:
            return [worker.trial(trial, 60.0) for trial in trials]

        environment = info.collect(worker)
        claims = info.claims(worker, ["sdpa-math"])
        records = info.prove(run, claims, "cpu")
    assert environment.usable
    assert environment.torch is not None
    on_disk = {package.name: package.version for package in environment.packages}
    assert on_disk["torch"] == environment.torch.version
    assert any(library.name.startswith("libtorch") for library in environment.libraries)
    (fact,) = info.backend_facts(claims, records)
    assert (fact.name, fact.package, fact.version) == ("sdpa-math", "torch", on_disk["torch"])
    assert fact.fact == "runs", fact.reasons


def test_an_interpreter_without_torch_is_described(tmp_path: Path) -> None:
    """Nothing is installed there; the report says so and what to do."""
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True
    )
    python = str(tmp_path / "bare/bin/python")
    with Worker(python) as worker:
        environment = info.collect(worker, python)
        claims = info.claims(worker, ["sdpa-math"])
    assert not environment.usable
    assert "No module named 'torch'" in environment.torch_error
    assert environment.packages == ()
    assert environment.python == ".".join(map(str, sys.version_info[:3]))
    assert any("torch is not installed" in text for text in warnings(environment))
    (fact,) = info.backend_facts(claims, [])
    assert fact.fact in ("absent", "broken")
