"""How one call is timed: CUDA events behind a filled queue, or the host's monotonic clock."""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch


@dataclass(frozen=True)
class Call:
    """What is timed, and what must happen before it without being timed.

    Args:
        run: The timed part; takes what `before` returned.
        before: Picks the inputs of this sample, runs the forward that a backward needs, empties the
            cache.
        around: Makes the context of a whole burst: the selection of a kernel (`Prepared.around`).
    """

    run: Callable[[Any], object]
    before: Callable[[], Any] = field(default=lambda: None)
    around: Callable[[], AbstractContextManager[object]] = nullcontext


@dataclass(frozen=True)
class Reading:
    """One timed call.

    Args:
        seconds: What it took on the device.
        host_s: What it took the host to launch it; on CPU the same.
        disturbed: CPU: the kernel took a core away meanwhile. CUDA: the queue may have run dry, so
            that `seconds` may hold time in which the GPU waited for the host.
    """

    seconds: float
    host_s: float
    disturbed: bool = False


class Clock(Protocol):
    """Times bursts of calls. Tests bring their own, with time they control."""

    @property
    def text(self) -> str:
        """How time is taken, for the report."""
        ...

    def now(self) -> float:
        """Seconds since some moment: what budgets are kept with."""
        ...

    def burst(self, call: Call, n: int) -> list[Reading]:
        """Times `n` calls, one by one."""
        ...


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keeps Python's cycle collector out of timed regions."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class CpuClock:
    """`perf_counter_ns` around each call."""

    @property
    def text(self) -> str:
        """Names the clock and the threads."""
        return f"perf_counter, {torch.get_num_threads()} threads"

    def now(self) -> float:
        """Monotonic seconds."""
        return time.perf_counter()

    def burst(self, call: Call, n: int) -> list[Reading]:
        """A reading is disturbed when any thread of the process lost its core during the call."""
        readings = []
        with call.around(), _no_collection():
            for _ in range(n):
                value = call.before()
                switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
                start = time.perf_counter_ns()
                result = call.run(value)
                seconds = (time.perf_counter_ns() - start) * 1e-9
                preempted = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw > switches
                del result, value  # freeing is not the call's time
                readings.append(Reading(seconds, seconds, preempted))
        return readings


def _sleep(cycles: int) -> None:
    """Keeps the GPU busy for so many cycles of its SM clock."""
    torch.cuda._sleep(cycles)  # type: ignore[no-untyped-call]  # torch leaves it without types


class CudaClock:
    """CUDA events around each call, recorded behind a sleeping kernel that keeps the queue full.

    Without it the GPU waits for the host between the kernels of a small call, and the events time the
    host: a 256^3 matmul reads 5.5 instead of 15 TFLOP/s (triton PR #10149). `torch.cuda._sleep` spins
    for a number of SM clock cycles (torch: aten/src/ATen/cuda/Sleep.cu).
    """

    MARGIN = 1.5  # the sleep outlasts the last burst's launches by this factor
    LONGEST_S = 0.5
    TRIES = 3  # bursts that are repeated with a longer sleep before the call is believed to wait

    text = "CUDA events, queue filled"

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._launching: dict[Call, float] = {}
        self._waiting: set[Call] = set()
        self._cycles_per_s = 0.0
        for _ in range(2):  # the first launch also loads the kernel
            start, end = self._event(), self._event()
            start.record()
            _sleep(2_000_000)
            end.record()
            end.synchronize()
            self._cycles_per_s = 2_000_000 / (start.elapsed_time(end) * 1e-3)

    @staticmethod
    def _event() -> torch.cuda.Event:
        return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch's stub

    def now(self) -> float:
        """Monotonic seconds of the host."""
        return time.perf_counter()

    def burst(self, call: Call, n: int) -> list[Reading]:
        """Repeats the burst with a longer sleep when launching took longer than the sleep lasted.

        A call that waits for the device itself (a `.item()`, a blocking copy) cannot be queued ahead:
        after `TRIES` its readings stay marked as disturbed, and the sleep is given up.
        """
        for _ in range(self.TRIES):
            readings, starved = self._once(call, n)
            if not starved or call in self._waiting:
                return readings
        self._waiting.add(call)
        return readings

    def _once(self, call: Call, n: int) -> tuple[list[Reading], bool]:
        asleep = min(self._launching.get(call, 0.0) * n * self.MARGIN + 1e-4, self.LONGEST_S)
        if call in self._waiting:
            asleep = 0.0
        events = [(self._event(), self._event()) for _ in range(n)]
        host: list[float] = []
        torch.cuda.synchronize(self._device)
        with call.around(), _no_collection():
            begin = time.perf_counter()
            if asleep:
                _sleep(int(asleep * self._cycles_per_s))
            for start, end in events:
                value = call.before()
                start.record()
                launched = time.perf_counter()
                result = call.run(value)
                host.append(time.perf_counter() - launched)
                end.record()
                del result, value
            launching = time.perf_counter() - begin
        torch.cuda.synchronize(self._device)
        self._launching[call] = launching / n
        starved = launching > asleep
        return [
            Reading(start.elapsed_time(end) * 1e-3, seconds, starved)
            for (start, end), seconds in zip(events, host, strict=True)
        ], starved

    def wall(self, call: Call, n: int) -> float:
        """Seconds per call when `n` of them follow each other and the host waits for the last."""
        with call.around(), _no_collection():
            values = [call.before() for _ in range(n)]
            torch.cuda.synchronize(self._device)
            start = time.perf_counter()
            while values:
                call.run(values.pop())
            torch.cuda.synchronize(self._device)
            return (time.perf_counter() - start) / n


def clock_for(device: torch.device) -> CpuClock | CudaClock:
    """The clock of a device."""
    return CudaClock(device) if device.type == "cuda" else CpuClock()
