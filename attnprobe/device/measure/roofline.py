"""What this device can do, measured here and now: the limit that times are held against."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch

from attnprobe.core import units
from attnprobe.core.timing import Bound, Rates
from attnprobe.device.measure.clocks import Call, clock_for
from attnprobe.device.measure.cold import cache_bytes

_REPEATS = 5
_LONG_ENOUGH_S = {"cuda": 1e-3, "cpu": 1e-2}
_LARGEST_N = {"cuda": 8192, "cpu": 2048}
_COPY_BYTES = {"cuda": 2**30, "cpu": 2**27}


@cache
def rates(device: torch.device, dtype: torch.dtype) -> Rates:
    """The best of a few large square matmuls and of a few copies; once per process, below a second.

    The best, not the median: a limit is what the device can do, and a share above 1 would say that it
    was none. Float32 matmuls run as torch is set to run them (TF32 or not).
    """
    n = 256
    while (
        n < _LARGEST_N[device.type] and _matmul_s(device, dtype, n, 1) < _LONG_ENOUGH_S[device.type]
    ):
        n *= 2
    took = _matmul_s(device, dtype, n, _REPEATS)
    size = _COPY_BYTES[device.type]
    if device.type == "cpu":
        size = max(size, min(2 * cache_bytes(device), 2**28))
    flops, moved = 2 * n**3 / took, 2 * size / _copy_s(device, size)
    text = (
        f"{str(dtype).removeprefix('torch.')} matmul {n}^3 {units.rate(flops)}, "
        f"copy of {units.size(size)} {units.size(moved)}/s read and written, best of {_REPEATS}"
    )
    return Rates(flops, moved, text)


def _best(call: Callable[[], object], device: torch.device, repeats: int) -> float:
    clock = clock_for(device)
    timed = Call(lambda _: call())
    clock.burst(timed, 1)
    return min(reading.seconds for reading in clock.burst(timed, repeats))


def _matmul_s(device: torch.device, dtype: torch.dtype, n: int, repeats: int) -> float:
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    return _best(lambda: torch.mm(a, b, out=out), device, repeats)


def _copy_s(device: torch.device, size: int) -> float:
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return _best(lambda: target.copy_(source), device, _REPEATS)


def least_s(flops: float, bytes_min: float, limits: Rates) -> tuple[float, Bound]:
    """The least time for so many operations and bytes at these rates, and which of them sets it."""
    compute, memory = flops / limits.flops, bytes_min / limits.bytes
    return (compute, "matmul") if compute >= memory else (memory, "memory")
