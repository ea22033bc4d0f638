"""How time and memory grow: the exponent of a power law, with its interval, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from attnprobe.report.compose.costs import ByCase, Cost
from attnprobe.report.compose.glyphs import RIGHT
from attnprobe.report.compose.sweeps import Sweep, Value

METHOD = (
    "exponents: p of cost ~ length^p: least squares on logarithms, 95% interval by Student's t; "
    "a curve that is no power law has a wide one. Only points that are right, timed and not "
    "launch-bound count"
)

FEWEST = 3
SPAN = 4.0
"""Points and range of lengths below which there is no exponent to speak of."""

Quantity = Literal["time", "memory"]


@dataclass(frozen=True)
class Fit:
    """cost ~ length ** exponent.

    Args:
        exponent: The slope.
        low: Lower end of its 95% interval.
        high: Upper end.
        local: The slope between neighbours, by the longer one's length.
    """

    exponent: float
    low: float
    high: float
    local: Mapping[float, float]


@dataclass(frozen=True)
class Scaling:
    """How one quantity of one backend grows over a sweep.

    Args:
        sweep: Over what.
        backend: Whose.
        quantity: What grows.
        fit: The law; None with the reason in `withheld`.
        points: Length and cost (seconds or bytes) that it rests on.
        left_out: Points that do not count, and why: `512: launch-bound`.
        withheld: Why there is no fit.
    """

    sweep: Sweep
    backend: str
    quantity: Quantity
    fit: Fit | None
    points: tuple[tuple[float, float], ...]
    left_out: tuple[str, ...] = ()
    withheld: str = ""


def scalings(sweep: Sweep, by_case: ByCase) -> list[Scaling]:
    """Time and memory of every backend over a length; nothing for other fields."""
    if not (sweep.field.length and sweep.numbers):
        return []
    costs = {v: {cost.backend: cost for cost in by_case[case]} for v, case in sweep.points.items()}
    backends = dict.fromkeys(name for same in costs.values() for name in same)
    found = [
        _scaling(
            sweep, name, quantity, {v: same[name] for v, same in costs.items() if name in same}
        )
        for name in backends
        for quantity in ("time", "memory")
    ]
    return [scaling for scaling in found if scaling.points]


def _scaling(
    sweep: Sweep, backend: str, quantity: Quantity, costs: Mapping[Value, Cost]
) -> Scaling:
    read = _time if quantity == "time" else _memory
    points, left_out = [], []
    for value, cost in costs.items():
        found = read(cost)
        if isinstance(found, str):
            left_out.append(f"{value}: {found}")
        else:
            points.append((float(value), found))
    law = fit(points)
    missing = law if isinstance(law, str) else ""
    return Scaling(
        sweep,
        backend,
        quantity,
        None if isinstance(law, str) else law,
        tuple(points),
        tuple(left_out),
        missing,
    )


def _time(cost: Cost) -> float | str:
    if cost.state is not RIGHT:
        return cost.state.meaning
    if cost.forward_alone:
        return "forward only"
    if cost.duration is None:
        return "no time that can be trusted"
    return "launch-bound" if cost.duration.launch_bound else cost.duration.median


def _memory(cost: Cost) -> float | str:
    if cost.state is not RIGHT:
        return cost.state.meaning
    if cost.forward_alone:
        return "forward only"
    peak = cost.memory.peak_bytes
    return "no memory that can be trusted" if not peak else float(peak)


def fit(points: list[tuple[float, float]]) -> Fit | str:
    """The power law through points, or why there is none.

    Args:
        points: Length and cost, both positive.
    """
    if len(points) < FEWEST:
        return f"{len(points)} points; {FEWEST} are needed"
    x, y = [math.log(n) for n, _ in points], [math.log(c) for _, c in points]
    if max(x) - min(x) < math.log(SPAN) - 1e-9:
        return f"the lengths span less than a factor of {SPAN:g}"
    n, mean_x, mean_y = len(x), sum(x) / len(x), sum(y) / len(y)
    spread = sum((a - mean_x) ** 2 for a in x)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
    residual = sum((b - mean_y - slope * (a - mean_x)) ** 2 for a, b in zip(x, y, strict=True))
    half = t_quantile(n - 2) * math.sqrt(residual / (n - 2) / spread)
    local = {
        after[0]: math.log(after[1] / before[1]) / math.log(after[0] / before[0])
        for before, after in pairwise(points)
    }
    return Fit(slope, slope - half, slope + half, local)


def t_quantile(freedom: int, confidence: float = 0.95) -> float:
    """The two-sided quantile of Student's t, by bisection of its closed form for whole degrees.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    low, high = 0.0, 1000.0
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < confidence else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """The probability that |T| < t."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine, total, term = math.cos(angle), 0.0, 1.0
    if freedom % 2:
        term = cosine
        for k in range(1, freedom - 1, 2):
            total += term
            term *= cosine**2 * (k + 1) / (k + 2)
        return 2 / math.pi * (angle + math.sin(angle) * total)
    for k in range(0, freedom - 1, 2):
        total += term
        term *= cosine**2 * (k + 1) / (k + 2)
    return math.sin(angle) * total
