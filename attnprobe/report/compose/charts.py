"""Time and memory over a sweep, as charts: one series a backend, the least memory as a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain

from attnprobe.core import units
from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, OutOfMemory, Refused
from attnprobe.report.compose.costs import Cost
from attnprobe.report.compose.glyphs import RIGHT, WRONG, State
from attnprobe.report.compose.sweeps import Sweep
from attnprobe.report.figure import Axis, Chart, Fate, Limit, Look, Point, Series

ByCase = Mapping[Case, list[Cost]]
Slots = Mapping[str, int]


def charts(sweep: Sweep, by_case: ByCase, slots: Slots) -> Iterator[Chart]:
    """Time, then memory; nothing where values have no place on a logarithmic axis.

    Args:
        sweep: Over what.
        by_case: What each case cost.
        slots: Number of each backend.
    """
    if not sweep.numbers or any(float(value) <= 0 for value in sweep.points):
        return
    first = next(iter(sweep.points.values()))
    over = f"over {sweep.field.name}"
    name = f"{first.name}: " if first.name else ""
    x = Axis(sweep.field.name, at=tuple(float(value) for value in sweep.points))
    for title, y, read, limits in (
        (f"{name}time of {first.passes} {over}", Axis(f"{first.passes} time", "s"), _time, ()),
        (f"{name}peak memory {over}", Axis("peak over the inputs", "B"), _memory, _floor),
    ):
        series, zeros = _series(sweep, by_case, slots, read)
        if not any(s.points for s in series):
            continue
        points = sum(len(s.points) for s in series)
        counts = f"{units.counted(len(series), 'backend')}, {units.counted(points, 'point')}"
        subtitle = f"{_shared(sweep)}; {counts}"
        lines = limits(sweep, by_case) if callable(limits) else limits
        remarks = (f"{zeros} x 0 bytes: not on this axis",) if zeros else ()
        yield Chart(title, subtitle, x, y, series, lines, remarks=remarks)


def _series(
    sweep: Sweep, by_case: ByCase, slots: Slots, read: Callable[[Cost, float], Point | None]
) -> tuple[tuple[Series, ...], int]:
    """The series in the order of their slots, and how many points are zero.

    Who failed everywhere has none: the refusals and the broken ones are told elsewhere.
    """
    points: dict[str, list[Point]] = {}
    missing: dict[str, list[tuple[float, Fate]]] = {}
    zeros = 0
    for value, case in sweep.points.items():
        for cost in by_case[case]:
            point, fate = read(cost, float(value)), _fate(cost)
            if point and point.y <= 0:
                zeros += 1
            elif point:
                points.setdefault(cost.backend, []).append(point)
            elif fate:
                missing.setdefault(cost.backend, []).append((float(value), fate))
    told = (name for name, fates in missing.items() if _TOLD & {fate for _, fate in fates})
    names = sorted(dict.fromkeys(chain(points, told)), key=lambda name: slots[name])
    series = (
        Series(n, slots[n], tuple(points.get(n, ())), tuple(missing.get(n, ()))) for n in names
    )
    return tuple(series), zeros


_TOLD: set[Fate] = {"out of memory", "wrong"}
"""What is shown of a backend that has no point at all."""


def look(state: State) -> Look:
    """How a measurement in this state is to be seen."""
    if state is RIGHT:
        return "right"
    return "wrong" if state is WRONG else "unproven"


def _fate(cost: Cost) -> Fate | None:
    match cost.record.outcome:
        case OutOfMemory() | Refused(by="memory"):
            return "out of memory"
        case Refused():
            return None
        case Measured():
            unasked = cost.forward_alone
            return "wrong" if cost.state is WRONG else None if unasked else "withheld"
        case _:
            return "failed"


def _time(cost: Cost, x: float) -> Point | None:
    found = cost.duration
    if found is None:
        return None
    return Point(x, found.median, found.low, found.high, look(cost.state), found.launch_bound)


def _memory(cost: Cost, x: float) -> Point | None:
    peak = None if cost.forward_alone else cost.memory.peak_bytes
    return None if peak is None else Point(x, peak, peak, peak, look(cost.state))


def _floor(sweep: Sweep, by_case: ByCase) -> tuple[Limit, ...]:
    found = []
    for value, case in sweep.points.items():
        floors = [cost.memory.floor_bytes for cost in by_case[case] if not cost.forward_alone]
        known = [float(floor) for floor in floors if floor]
        if known:
            found.append((float(value), min(known)))
    return (Limit("least possible", tuple(found)),) if found else ()


def _shared(sweep: Sweep) -> str:
    """What the labels of all points have in common."""
    first, *others = (case.label.split() for case in sweep.points.values())
    kept = [word for word in first if all(word in words for words in others)]
    return " ".join(kept)
