"""What was achieved under the rates measured in the same run, over the FLOP per byte of the call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attnprobe.core import units
from attnprobe.core.case import Case
from attnprobe.core.cost import bytes_min
from attnprobe.core.timing import Rates
from attnprobe.report.compose import reading
from attnprobe.report.compose.charts import Slots, look
from attnprobe.report.compose.costs import Cost
from attnprobe.report.figure import Axis, Chart, Limit, Point, Series

_ROOM = 4.0
"""How far the roof reaches beyond the outermost points, as a factor."""


def rooflines(by_case: Mapping[Case, Sequence[Cost]], slots: Slots) -> Iterator[Chart]:
    """One chart per device and element type, because each has rates of its own.

    Layers are not in it: what they must move is known to the process that timed them alone.

    Args:
        by_case: What each case cost.
        slots: Number of each backend.
    """
    every = [cost for same in by_case.values() for cost in same if cost.timing.rates]
    alike = reading.grouped(every, lambda cost: (cost.case.device, cost.case.dtype))
    for (device, dtype), same in alike.items():
        points: dict[str, list[Point]] = {}
        for cost in same:
            point = _point(cost)
            if point:
                points.setdefault(cost.backend, []).append(point)
        if not points:
            continue
        names = sorted(points, key=lambda name: slots[name])
        series = tuple(
            Series(n, slots[n], tuple(sorted(points[n], key=lambda p: p.x))) for n in names
        )
        limits = [cost.timing.rates for cost in same if cost.timing.rates]
        cases = len({cost.case for cost in same if _point(cost)})
        yield Chart(
            f"Roofline on {device}, {reading.DTYPES.get(dtype, dtype)}",
            f"{units.counted(len(names), 'backend')}, {units.counted(cases, 'case')}, "
            f"{units.counted(sum(map(len, points.values())), 'point')}; measured here: {_rates(limits)}",
            Axis("FLOP per byte that must move", "FLOP/B"),
            Axis("achieved", "FLOP/s"),
            series,
            (_roof(limits, [p.x for found in points.values() for p in found]),),
            joined=False,
        )


def _point(cost: Cost) -> Point | None:
    found = cost.duration
    if cost.case.module or found is None or not found.tflops:
        return None
    done, moved = 1e12 * found.tflops * found.median, bytes_min(cost.case, cost.case.passes)
    return Point(
        done / moved,
        done / found.median,
        done / found.high,
        done / found.low,
        look(cost.state),
        found.launch_bound,
    )


def _best(found: Sequence[Rates]) -> tuple[float, float]:
    return max(rates.flops for rates in found), max(rates.bytes for rates in found)


def _rates(found: Sequence[Rates]) -> str:
    flops, moved = _best(found)
    return f"matmul {units.rate(flops)}, copy {units.size(moved)}/s"


def _roof(found: Sequence[Rates], x: Sequence[float]) -> Limit:
    """The greatest of the measured rates: a slope of copying, then the level of the matmul."""
    flops, moved = _best(found)
    ridge = flops / moved
    low, high = min(*x, ridge) / _ROOM, max(*x, ridge) * _ROOM
    return Limit("measured limit", ((low, low * moved), (ridge, flops), (high, flops)))
