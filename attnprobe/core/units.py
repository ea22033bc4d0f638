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


def number(value: float) -> str:
    """Three significant digits: `0.0389`, `1052`; the column names the unit."""
    return _digits(value)


def interval(median: float, low: float, high: float) -> str:
    """A number with its interval: `0.63 [0.62,0.64]`."""
    return f"{_digits(median)} [{_digits(low)},{_digits(high)}]"


def operations(value: float) -> str:
    """Floating-point operations: `25.8 GFLOP`."""
    return rate(value).removesuffix("/s")


def milliseconds(median: float, low: float, high: float) -> str:
    """A median with its interval, in milliseconds: `0.252 [0.250,0.255]`; columns name the unit."""
    return interval(median * 1e3, low * 1e3, high * 1e3)


def factor(value: float) -> str:
    """How many times: `1.05x`, `41.2x`, `3.1e+06x`, `inf`."""
    if not math.isfinite(value):
        return f"{value:g}"
    return f"{value:.1e}x" if abs(value) >= 1e5 or 0 < abs(value) < 1e-3 else f"{_digits(value)}x"


def relative(value: float) -> str:
    """A relative error: `3.1e-02`."""
    return f"{value:.1e}" if math.isfinite(value) else f"{value:g}"


def share(value: float) -> str:
    """A fraction of one as per cent: `43%`."""
    return f"{100 * value:.0f}%"


def counted(number: int, thing: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _digits(value: float) -> str:
    if value == 0.0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(decimals, 5)}f}"
