"""Time and memory of one trial, in seconds and bytes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Duration:
    """A median with its 95% confidence interval, in seconds.

    Args:
        median: Median of the samples.
        low: Lower end of the interval of the median.
        high: Upper end.
        n: Number of samples.
    """

    median: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Timing:
    """What one case costs with one backend.

    Args:
        fwd_s: Forward.
        bwd_s: Backward alone.
        fwd_bwd_s: Both in one go.
        first_call_s: The very first forward: compilation, plan building, lazy loading.
        peak_bytes: Peak memory over the inputs, forward and backward.
        floor_bytes: The least that any implementation needs: outputs and gradients.
        flops: Floating-point operations of the unmasked pairs, forward (device/measure/roofline.py).
        clock: How time was taken, e.g. "CUDA events, cold L2" or "monotonic, 2 threads".
        withheld: Why a number is missing that was asked for.
    """

    fwd_s: Duration | None = None
    bwd_s: Duration | None = None
    fwd_bwd_s: Duration | None = None
    first_call_s: float | None = None
    peak_bytes: int | None = None
    floor_bytes: int | None = None
    flops: float | None = None
    clock: str = ""
    withheld: tuple[str, ...] = ()
