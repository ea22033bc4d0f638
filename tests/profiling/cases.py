"""Cases, calls and measured outcomes, small enough to be read in a test."""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured
from attnprobe.core.parity import Parity
from attnprobe.core.report import Report
from attnprobe.core.timing import Duration, Timing
from attnprobe.core.trial import Record, Trial
from attnprobe.workload import Call, Workload

CASE = Case(2, 8, 8, 512, 512, 64, 64, device="cuda", name="self")


def call(**changes: object) -> Call:
    return Call(CASE.edit(**changes))


def workload(*cases: Case) -> Workload:
    return Workload("mine", calls=tuple(map(Call, cases or (CASE,))))


def duration(median: float, width: float = 0.01, **more: object) -> Duration:
    return Duration(median, median * (1 - width), median * (1 + width), 60, 20, **more)  # type: ignore[arg-type]


def measured(
    seconds: float, peak: int = 2**20, verdict: str = "pass", width: float = 0.01, **more: object
) -> Measured:
    spent = duration(seconds, width, **more)
    timing = Timing(spent, spent, spent, peak_bytes=peak, floor_bytes=2**20, clock="CUDA events")
    return Measured("is_causal", Parity(verdict, "fused"), timing)  # type: ignore[arg-type]


def timed(case: Case, backend: str, seconds: float, **more: object) -> Record:
    return Record(Trial(case, backend, "time"), measured(seconds, **more))  # type: ignore[arg-type]


def report(*records: Record) -> Report:
    return Report(command="profile", records=records)
