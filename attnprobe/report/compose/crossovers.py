"""Where along a sweep one backend overtakes another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from attnprobe.report.compose.costs import ByCase, Cost, ranked
from attnprobe.report.compose.sweeps import Sweep, Value


@dataclass(frozen=True)
class Crossover:
    """Between two values the faster one of two backends changes.

    Args:
        sweep: Over what.
        below: Faster up to `low`.
        above: Faster from `high` on.
        low: The last value at which `below` is faster for certain.
        high: The first at which `above` is; in between their intervals overlap, or nothing was timed.
    """

    sweep: Sweep
    below: str
    above: str
    low: Value
    high: Value


def crossovers(sweep: Sweep, by_case: ByCase) -> list[Crossover]:
    """All of them, for every pair of backends that are both right and timed at two values or more."""
    if not sweep.numbers:
        return []
    costs = {
        value: {cost.backend: cost for cost in by_case[case] if cost.trusted}
        for value, case in sweep.points.items()
    }
    names = dict.fromkeys(name for same in costs.values() for name in same)
    found = []
    for one, other in combinations(names, 2):
        last: tuple[Value, str] | None = None
        for value, same in costs.items():
            winner = _faster(same.get(one), same.get(other))
            if winner and last and winner != last[1]:
                found.append(Crossover(sweep, last[1], winner, last[0], value))
            last = (value, winner) if winner else last
    return found


def _faster(one: Cost | None, other: Cost | None) -> str:
    """Who is faster for certain: the intervals of the medians do not meet; empty for nobody."""
    if one is None or other is None or one.duration is None or other.duration is None:
        return ""
    if one.duration.high < other.duration.low:
        return one.backend
    return other.backend if other.duration.high < one.duration.low else ""


def leaders(sweep: Sweep, by_case: ByCase) -> list[tuple[str, Value, Value]]:
    """Who is the fastest right backend from where to where; a lead lasts until it is lost clearly."""
    found: list[tuple[str, Value, Value]] = []
    for value, case in sweep.points.items():
        first = [cost.backend for cost in level(by_case[case])]
        if found and found[-1][0] in first:
            found[-1] = (found[-1][0], found[-1][1], value)
        elif first:
            found.append((first[0], value, value))
    return found


def level(same: Iterable[Cost]) -> list[Cost]:
    """The fastest right backend, and those that cannot be told from it: their intervals meet."""
    trusted = [cost for cost in ranked(list(same)) if cost.trusted]
    best = trusted[0].duration if trusted else None
    return [c for c in trusted if best and c.duration and c.duration.low <= best.high]
