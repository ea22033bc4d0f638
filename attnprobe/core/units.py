"""The only formatter of numbers: SI in records, units where people read."""

from __future__ import annotations

import math


def seconds(value: float) -> str:
    """Three significant digits with the unit that fits: `62.1 us`, `0.955 ms`, `8.87 s`."""
    if value >= 1.0 or value == 0.0:
        return f"{_digits(value)} s"
    if value >= 2e-4:
        return f"{_digits(value * 1e3)} ms"
    return f"{_digits(value * 1e6)} us"


def size(value: float) -> str:
    """Bytes in binary units: `512 B`, `28.0 MiB`."""
    for unit, step in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value >= step:
            return f"{_digits(value / step)} {unit}"
    return f"{value:.0f} B"


def rate(value: float) -> str:
    """Floating-point operations per second: `788 TFLOP/s`."""
    for unit, step in (("TFLOP/s", 1e12), ("GFLOP/s", 1e9)):
        if value >= step:
            return f"{_digits(value / step)} {unit}"
    return f"{_digits(value / 1e6)} MFLOP/s"


def _digits(value: float) -> str:
    if value == 0.0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(decimals, 3)}f}"
