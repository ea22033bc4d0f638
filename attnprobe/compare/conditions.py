"""What makes two sessions less comparable than they look."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from attnprobe.compare import ratios
from attnprobe.core import units
from attnprobe.core.outcome import Measured
from attnprobe.core.report import Report
from attnprobe.core.timing import Rates


def warnings(old: Report, new: Report, apart: bool) -> Iterator[str]:
    """Every reason to read the numbers with care, in words.

    Args:
        old: The first session.
        new: The second one.
        apart: Whether times are compared that were not taken in turns.
    """
    for side, report in (("OLD", old), ("NEW", new)):
        if not report.complete:
            yield f"{side} did not finish: it holds a part of its trials"
        if report.environment is None:
            yield f"{side} does not say what machine it ran on"
            continue
        for gpu in report.environment.gpus:
            if gpu.throttle:
                yield f"{side}: GPU {gpu.index} was throttled: {', '.join(gpu.throttle)}"
            if gpu.processes:
                yield f"{side}: GPU {gpu.index} had {gpu.processes} other processes"
    if apart:
        yield from _rates(old, new)


def _rates(old: Report, new: Report) -> Iterator[str]:
    """Where the limits of the device, measured in both runs, differ by more than is called none."""
    before, after = _limits(old), _limits(new)
    for device, dtype in before.keys() & after.keys():
        sides = before[device, dtype], after[device, dtype]
        for what, per, (was, now) in (
            (f"a plain {dtype} matmul", units.rate, [median(r.flops for r in s) for s in sides]),
            (f"a copy beside {dtype}", _per_s, [median(r.bytes for r in s) for s in sides]),
        ):
            if was > 0 and abs(now / was - 1) > ratios.allowance(device):
                yield (
                    f"{what} ran at {per(was)} in OLD and at {per(now)} in NEW: the machine itself "
                    "was not the same, or what multiplies its matrices"
                )


def _limits(report: Report) -> dict[tuple[str, str], list[Rates]]:
    """The limits that were measured, by device and dtype."""
    found: dict[tuple[str, str], list[Rates]] = {}
    for record in report.records:
        timing = record.outcome.timing if isinstance(record.outcome, Measured) else None
        if timing is not None and timing.rates is not None:
            case = record.trial.case
            found.setdefault((case.device, case.dtype), []).append(timing.rates)
    return found


def _per_s(rate: float) -> str:
    return f"{units.size(rate)}/s"
