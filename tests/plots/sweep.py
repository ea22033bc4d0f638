"""A made-up sweep: five lengths, four backends, one of them wrong and one that runs out of memory."""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, Outcome, OutOfMemory
from attnprobe.core.parity import Parity
from attnprobe.core.report import Report
from attnprobe.core.timing import Duration, Rates, Ratio, Timing, Versus
from attnprobe.core.trial import Record, Trial

LENGTHS = (512, 1024, 2048, 4096, 8192)
CASE = Case(2, 8, 8, 512, 512, 64, 64, device="cuda", name="train")
RATES = Rates(7e14, 4e12, "measured")
FLASH, MATH, WRONG, OTHER = "sdpa-flash", "sdpa-math", "mine.py:f", "sdpa-default"


def _timing(n: int, seconds: float, peak: int) -> Timing:
    low, high = 0.9 * seconds, 1.2 * seconds
    tflops = 14 * CASE.B * CASE.Hq * n * n * 64 / seconds / 1e12
    fwd_bwd = Duration(
        seconds, low, high, 60, 12, launch_bound=n == 512, tflops=tflops, roofline_share=0.4
    )
    return Timing(fwd_bwd_s=fwd_bwd, peak_bytes=peak, floor_bytes=2**13 * n, rates=RATES)


def _outcome(backend: str, n: int) -> Outcome:
    right, linear, seconds = Parity("pass", "fused"), 2**14 * n, 1e-10 * n * n
    match backend:
        case "sdpa-math" if n >= 4096:
            return OutOfMemory("forward", "CUDA out of memory")
        case "sdpa-math":
            return Measured("dense", right, _timing(n, 8 * seconds, 64 * n * n))
        case "mine.py:f" if n == 1024:  # timed by hand, as no session does
            return Measured("causal", Parity("fail", "fused"), _timing(n, seconds / 4, linear))
        case "mine.py:f":
            return Measured("causal", Parity("fail", "fused"), Timing(withheld=("wrong",)))
        case "sdpa-default" if n == 2048:
            return Measured(
                "causal", right, _timing(n, 2 * seconds, linear), (), "fell back to math"
            )
        case "sdpa-default" if n == 4096:
            return Measured("causal", right, _timing(n, seconds, linear).without_times("throttled"))
        case _:
            return Measured("causal", right, _timing(n, seconds, linear))


def _records(n: int) -> list[Record]:
    case = CASE.edit(Mq=n, Mkv=n)
    found = [Record(Trial(case, b, "time"), _outcome(b, n)) for b in (OTHER, FLASH, MATH, WRONG)]
    faster = Versus(OTHER, fwd_bwd=Ratio(0.5, 0.4, 0.625, 20))
    compared = Measured("causal", versus=faster)
    return [*found, Record(Trial(case, FLASH, "compare", rival=OTHER), compared)]


SWEPT = Report(command="profile", records=tuple(r for n in LENGTHS for r in _records(n)))
