"""The table of the fastest right backends: one row per question that the workload asked."""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured
from attnprobe.core.parity import Parity
from attnprobe.core.report import Report
from attnprobe.core.timing import Duration, Timing
from attnprobe.core.trial import Record, Trial
from attnprobe.report import terminal
from attnprobe.report.compose.summary import summary
from attnprobe.report.document import Document

BOTH = Case(1, 1, 1, 64, 64, 8, 8, name="training")
SPAN = Duration(1e-3, 1e-3, 1e-3, 40)


def timed(case: Case, backend: str) -> Record:
    costs = {"fwd_s": SPAN} if case.passes == "fwd" else {"fwd_bwd_s": SPAN}
    outcome = Measured("no mask", Parity("pass", "fused"), Timing(**costs))
    return Record(Trial(case, backend, "time"), outcome)


def shown(*records: Record) -> str:
    return terminal.text(Document(summary(Report(command="report", records=records))))


def test_a_forward_without_its_backward_wins_no_race_of_its_own() -> None:
    """Who refused the backward was timed forward alone; that is no answer to what was asked."""
    text = shown(timed(BOTH, "flash"), timed(BOTH.edit(passes="fwd"), "splitk"))
    assert "flash" in text
    assert "splitk" not in text


def test_cases_that_share_a_name_are_told_apart() -> None:
    """Two lengths of one name have two rows, and each says which it is."""
    text = shown(timed(BOTH, "flash"), timed(BOTH.edit(Mq=128, Mkv=128), "flash"))
    assert "training (B1 H1 M64 K8)" in text
    assert "training (B1 H1 M128 K8)" in text


def test_a_forward_that_was_asked_for_is_shown() -> None:
    """Decode has no backward, and its fastest backend is an answer."""
    assert "splitk" in shown(timed(BOTH.edit(passes="fwd"), "splitk"))
