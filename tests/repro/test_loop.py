"""The loop over what a session found wrong: what it picks, and that nothing stops it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from attnprobe import masks
from attnprobe.core.case import Case
from attnprobe.core.outcome import Crashed, Measured, Raised, Refused, TimedOut
from attnprobe.core.parity import Failure, Parity
from attnprobe.core.trial import Record, Trial
from attnprobe.device.answer import answer
from attnprobe.session.journal import Journal
from attnprobe.session.lines import Header
from tests.gpu import repros

CASE = Case(2, 2, 2, 9, 9, 8, 8, dtype="float32", mask=masks.parse("causal(align=top-left)"))


def wrong(kind: str, of: str = "out") -> Measured:
    return Measured("", Parity("fail", "fused", failures=(Failure(kind, "off", of=of),)))


def test_each_backend_and_failure_is_picked_from_different_cases():
    """Two of a kind at most, of two cases where there are two; what is right or refused is left out."""
    one, other = CASE.edit(name="one"), CASE.edit(name="other")
    records = [
        Record(Trial(one, "a"), wrong("accuracy", "dq")),
        Record(Trial(one.edit(seed=1), "a"), wrong("accuracy")),
        Record(Trial(other, "a"), wrong("accuracy")),
        Record(Trial(one, "b"), wrong("accuracy", "dq")),
        Record(Trial(one.edit(seed=2), "a"), wrong("nonfinite")),
        Record(Trial(one, "c", "leak"), Crashed("forward", "SIGSEGV")),
        Record(Trial(one, "d"), Raised("forward", "ValueError", "")),
        Record(Trial(one, "e"), Refused("library", ("no",))),
        Record(Trial(one, "f"), Measured("", Parity("pass", "fused"))),
        Record(Trial(one, "g"), TimedOut("forward", 3.0)),
    ]
    assert [item.name for item in repros.kept(records, 2)] == [
        "a-one-dq",
        "a-other-out",
        "b-one-dq",
        "a-one-nonfinite-out",
        "c-one-leak-dies-of-sigsegv",
        "d-one-raises-valueerror",
        "g-one-hangs",
    ]


@pytest.mark.slow
def test_scripts_are_written_run_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One shows its bug, one lacks its library, one cannot be written: all are in the table."""
    kernel = tmp_path / "kernel.py"
    kernel.write_text("from tests.mutation.masks import CausalOneAhead as attention\n")
    trial = Trial(CASE.edit(name="causal"), f"{kernel}:attention")
    session, folder = tmp_path / "session.jsonl", tmp_path / "kept"
    with Journal(Header("check"), session) as journal:
        journal.record(Record(trial, answer(trial, lambda phase: None)))
        journal.record(Record(Trial(CASE, "flash-attn-2"), wrong("accuracy")))
        journal.record(Record(Trial(CASE, "somebody-elses"), wrong("accuracy")))
        journal.end()
    options = ["--python", sys.executable, "--jobs", "1", "--shrink", "1"]
    monkeypatch.setattr(sys, "argv", ["repros.py", str(session), str(folder), *options])
    assert repros.main() == 1
    rows = [line for line in (folder / "summary.md").read_text().splitlines() if line[:2] == "| "]
    assert [row.split(" | ")[4] for row in rows] == ["exit", "1", "125", "not written"]
    assert (folder / "attention-causal-out.py").exists()
