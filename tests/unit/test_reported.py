"""What sources reported beside what was measured: the right case, the right way round."""

from __future__ import annotations

from pathlib import Path

import pytest

from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, Refused
from attnprobe.core.parity import Parity
from attnprobe.core.report import Report
from attnprobe.core.reported import Quantity, Reported, recipe
from attnprobe.core.timing import Duration, Timing
from attnprobe.core.trial import Record, Trial
from attnprobe.report import compose
from attnprobe.report.compose.reported import Beside, beside
from attnprobe.report.document import Document
from attnprobe.report.terminal import text
from attnprobe.session import Journal, load
from attnprobe.session.lines import Header

CASE = Case(2, 4, 4, 64, 64, 16, 16, device="cuda", seed=3, name="self")


def number(
    backend: str = "fast", quantity: Quantity = "fwd_s", value: float = 2.0, over: str = ""
) -> Reported:
    shape = recipe(CASE.edit(device="auto", seed=0))
    return Reported("self", shape, backend, quantity, value, "A100", "https://example.org", over)


def timed(
    backend: str, fwd: float, verdict: str = "pass", case: Case = CASE, peak: int = 0
) -> Record:
    spent = Duration(fwd, fwd, fwd, 9, tflops=5.0)
    timing = Timing(fwd_s=spent, peak_bytes=peak, withheld=("bwd_s: the clock fell",))
    parity = Parity(verdict, "fused")  # type: ignore[arg-type] # a literal, by parameter
    return Record(Trial(case, backend, "time"), Measured("none", parity, timing))


def one(reported: Reported, *records: Record) -> Beside:
    (found,) = beside(Report(records=records, reported=(reported,)))
    return found


def test_a_time_is_found_whatever_device_and_seed_it_was_taken_with():
    """The workload says `auto` and seed 0; the run was on cuda with seed 3."""
    found = one(number(), timed("fast", 0.5))
    assert (found.here, found.ratio, found.why) == (0.5, 0.25, "")


def test_another_shape_of_the_same_name_is_not_compared():
    """A sweep keeps the name and changes the case; the reader is told what is left out."""
    record = timed("fast", 0.5, case=CASE.edit(Mq=128, Mkv=128))
    report = Report(records=(record,), reported=(number(),))
    assert beside(report) == ()
    assert "1 of 1 are about cases that did not run: self" in text(
        Document(compose.reported(report))
    )


def test_a_backend_that_did_not_run_is_named():
    """The case ran, with others."""
    found = one(number(), timed("slow", 0.5))
    assert (found.here, found.why) == (None, "fast: not run")


def test_a_ratio_says_how_many_times_as_much_the_other_takes():
    """Over / backend: 6 s over 2 s is 3, where the source had 2."""
    found = one(number(over="slow"), timed("fast", 2.0), timed("slow", 6.0))
    assert (found.here, found.ratio) == (3.0, 1.5)


def test_a_ratio_needs_both():
    """Half of a ratio is none, and its reason names the missing one."""
    assert one(number(over="slow"), timed("fast", 2.0)).why == "slow: not run"


def test_peak_memory_and_rates_are_taken_from_their_fields():
    """Bytes as measured, TFLOP/s as FLOP/s."""
    record = timed("fast", 1.0, peak=2**20)
    assert one(number(quantity="peak_bytes"), record).here == 2**20
    assert one(number(quantity="fwd_flops"), record).here == 5e12


def test_a_wrong_kernel_is_called_wrong():
    """Its number is shown, never without the word."""
    assert one(number(), timed("fast", 0.5, "fail")).why == "fast is wrong here"


def test_what_was_not_measured_says_why():
    """Withheld numbers and refusals carry their reasons."""
    assert "the clock fell" in one(number(quantity="bwd_s"), timed("fast", 1.0)).why
    refusal = Record(Trial(CASE, "fast", "time"), Refused("library", ("only float16",)))
    assert "only float16" in one(number(), refusal).why


def test_nothing_reported_is_nothing_said():
    """No heading over an empty table."""
    assert compose.reported(Report(records=(timed("fast", 1.0),))) == ()


def test_a_session_keeps_each_number_once(tmp_path: Path):
    """Written again on --resume, it is still one line of the table."""
    path = tmp_path / "session.jsonl"
    for mode in ("new", "resume"):
        with Journal(Header("profile"), path, mode) as journal:  # type: ignore[arg-type] # a literal
            journal.reported(number())
            journal.reported(number(value=3.0))
    assert [r.value for r in load(path).reported] == [2.0, 3.0]


@pytest.mark.parametrize("value", ['"quick"', "[]", "null"])
def test_a_broken_line_of_a_source_is_dropped_with_a_note(tmp_path: Path, value: str):
    """A value that is no number costs that line alone."""
    path = tmp_path / "session.jsonl"
    with Journal(Header("profile"), path) as journal:
        journal.reported(number(value=12345.5))
        journal.note("kept")
    path.write_text(path.read_text().replace("12345.5", value))
    assert load(path).reported == ()
    assert "kept" in load(path).notes
