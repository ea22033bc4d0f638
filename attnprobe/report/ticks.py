"""Where a logarithmic axis is marked, and with which words."""

from __future__ import annotations

import math
from collections.abc import Iterator

from attnprobe.core import units
from attnprobe.report.figure import Axis, Unit

MOST = 8
_MANTISSAS = ((1.0,), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0))


def padded(low: float, high: float, least: float = 4.0) -> tuple[float, float]:
    """The range of an axis: a little more than its values, and at least a factor of `least`."""
    room = max(1.12, (high / low) ** 0.05, math.sqrt(least * low / high))
    return low / room, high * room


def ticks(axis: Axis, low: float, high: float) -> list[float]:
    """At most `MOST` values within low..high.

    >>> ticks(Axis("time", "s"), 3e-5, 0.02)
    [0.0001, 0.001, 0.01]
    >>> ticks(Axis("memory", "B"), 2**20, 2**23)
    [1048576.0, 2097152.0, 4194304.0, 8388608.0]
    >>> ticks(Axis("M", at=(1, 2, 3, 4, 5, 6, 7, 8, 9)), 1, 9)
    [1, 3, 5, 7, 9]
    """
    if axis.at:
        return list(axis.at[:: math.ceil(len(axis.at) / MOST)])
    if axis.unit == "B":
        return _powers_of_two(low, high)
    return next((found for found in _candidates(low, high) if 3 <= len(found) <= MOST), [low, high])


def _candidates(low: float, high: float) -> Iterator[list[float]]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for mantissas in _MANTISSAS:
        every = [float(f"{m}e{n}") for n in range(first, last + 1) for m in mantissas]
        yield [value for value in every if low <= value <= high]
    for step in range(2, 1 + max(2, last - first)):
        every = [float(f"1e{n}") for n in range(first, last + 1) if n % step == 0]
        yield [value for value in every if low <= value <= high]


def _powers_of_two(low: float, high: float) -> list[float]:
    first, last = math.ceil(math.log2(low) - 1e-9), math.floor(math.log2(high) + 1e-9)
    step = max(1, math.ceil((last - first + 1) / MOST))
    return [2.0**n for n in range(first, last + 1) if n % step == 0]


def label(value: float, unit: Unit) -> str:
    """A tick's words: `1 ms`, `16 MiB`, `4096`.

    >>> label(1e-4, "s"), label(2**24, "B"), label(1e13, "FLOP/s"), label(131072.0, "")
    ('100 us', '16 MiB', '10 TFLOP/s', '131072')
    >>> label(74.47272727, "")
    '74.5'
    """
    match unit:
        case "s":
            text = units.seconds(value)
        case "B":
            text = units.size(value)
        case "FLOP/s":
            text = units.rate(value)
        case _:
            return f"{value:.10g}" if value == int(value) else f"{value:.3g}"
    digits, _, name = text.partition(" ")
    return f"{float(digits):g} {name}"
