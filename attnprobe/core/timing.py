"""Time and memory of one trial, in seconds and bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from attnprobe.core.case import Pass
from attnprobe.core.conditions import Conditions

Bound = Literal["matmul", "memory"]


@dataclass(frozen=True)
class Duration:
    """A median with its 95% confidence interval, in seconds.

    Args:
        median: Median of the rounds (a round is a short burst of calls; its own median counts once).
        low: Lower end of the interval of the median.
        high: Upper end.
        n: Number of calls that were timed.
        rounds: Number of rounds they came in; the interval is between rounds, never within one.
        launch_bound: True when launching the call takes the host about as long as running it takes
            the GPU, or longer: then a loop of such calls takes `wall_s` each and not `median`.
        wall_s: Seconds per call, calls back to back, as the host sees them; None where the GPU sets
            the pace, and on CPU.
        tflops: Model FLOP of this pass over `median`, in units of 1e12 per second.
        roofline_share: Least time by the measured rates of this device over `median`.
        bound: Which of those rates sets the least time.
    """

    median: float
    low: float
    high: float
    n: int
    rounds: int = 0
    launch_bound: bool = False
    wall_s: float | None = None
    tflops: float | None = None
    roofline_share: float | None = None
    bound: Bound | None = None

    @property
    def half_width(self) -> float:
        """Half the interval, relative to the median: 0.02 reads "plus or minus 2%"."""
        return (self.high - self.low) / 2 / self.median if self.median else float("inf")


SAME = 0.005
"""Differences within half a percent are called none: on an H200 (torch 2.11, 20 comparisons of one flash
kernel with itself) medians lay within 0.6% of 1, and the intervals of three excluded 1 for all that."""


@dataclass(frozen=True)
class Ratio:
    """How much longer `of` takes than `to`, from rounds in which both ran in random order.

    Args:
        median: Median over the rounds of time(of) / time(to).
        low: Lower end of its confidence interval.
        high: Upper end.
        rounds: Rounds in which both were timed.
    """

    median: float
    low: float
    high: float
    rounds: int

    @property
    def verdict(self) -> Literal["faster", "slower", "indistinguishable"]:
        """What can be said of `of`: only an interval that lies beyond `SAME` counts."""
        if self.high < 1.0 - SAME:
            return "faster"
        return "slower" if self.low > 1.0 + SAME else "indistinguishable"


@dataclass(frozen=True)
class Versus:
    """A backend against a rival on one case, both timed in the same rounds.

    Args:
        rival: The other backend.
        fwd: time(backend) / time(rival), forward; below 1 the backend is faster.
        bwd: The same of the backward alone.
        fwd_bwd: The same of both in one go.
        withheld: Why a ratio is missing that was asked for, each as `field: reason`.
        conditions: What the host saw of the machine meanwhile.
    """

    rival: str
    fwd: Ratio | None = None
    bwd: Ratio | None = None
    fwd_bwd: Ratio | None = None
    withheld: tuple[str, ...] = ()
    conditions: Conditions | None = None

    def of(self, passes: Pass) -> Ratio | None:
        """The ratio of what a case runs."""
        return {"fwd": self.fwd, "bwd": self.bwd, "fwd+bwd": self.fwd_bwd}[passes]

    def without_ratios(self, reason: str) -> Versus:
        """The same record with every ratio taken back, and why."""
        lost = [name for name in ("fwd", "bwd", "fwd_bwd") if getattr(self, name) is not None]
        return replace(
            self,
            fwd=None,
            bwd=None,
            fwd_bwd=None,
            withheld=self.withheld + tuple(f"{name}: {reason}" for name in lost),
        )


@dataclass(frozen=True)
class Rates:
    """What this device does at best, measured in this run with plain torch operations.

    Args:
        flops: Floating-point operations per second of a large square matmul in the case's dtype.
        bytes: Bytes per second, read and written together, of a large copy.
        text: How they were measured, for the report.
    """

    flops: float
    bytes: float
    text: str = ""


@dataclass(frozen=True)
class Turn:
    """Medians of one short turn, when two interpreters take turns with a case; in seconds.

    Args:
        number: Which turn; every one of them has fresh processes.
        fwd_s: Forward; None where the other passes are, or nothing, could be timed.
        bwd_s: Backward alone.
        fwd_bwd_s: Both in one go.
    """

    number: int
    fwd_s: float | None = None
    bwd_s: float | None = None
    fwd_bwd_s: float | None = None


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
        flops: Floating-point operations of the unmasked pairs, forward (core/cost.py).
        clock: How time was taken, e.g. "CUDA events, cold L2" or "monotonic, 2 threads".
        withheld: Why a number is missing that was asked for, each as `field: reason`.
        cache: State of the cache before each call: "cold (...)" or "warm (...)", with how.
        target_ci: Relative half width of the interval that sampling aimed at.
        memory: How `peak_bytes` was taken.
        rates: The rates that `roofline_share` refers to.
        notes: What a reader should know about the numbers that are given.
        conditions: What the host saw of the machine while times were sampled.
        turns: The turns that this interpreter took with another one.
        turns_of: The run that they belong to; turns of two sessions pair when it is the same.
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
    cache: str = ""
    target_ci: float | None = None
    memory: str = ""
    rates: Rates | None = None
    notes: tuple[str, ...] = ()
    conditions: Conditions | None = None
    turns: tuple[Turn, ...] = ()
    turns_of: str = ""

    def of(self, passes: Pass) -> Duration | None:
        """The duration of what a case runs."""
        return {"fwd": self.fwd_s, "bwd": self.bwd_s, "fwd+bwd": self.fwd_bwd_s}[passes]

    def without_times(self, reason: str) -> Timing:
        """The same record with every time taken back, and why.

        This is how what only the host sees (NVML: throttled clocks, another process on the GPU)
        withholds a number that the child could not know to be wrong.
        """
        lost = [name for name in ("fwd_s", "bwd_s", "fwd_bwd_s") if getattr(self, name) is not None]
        return replace(
            self,
            fwd_s=None,
            bwd_s=None,
            fwd_bwd_s=None,
            turns=(),
            withheld=self.withheld + tuple(f"{name}: {reason}" for name in lost),
        )
