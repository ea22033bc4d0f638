"""How much longer something takes than before: ratios, their intervals and what these cannot see."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from math import exp, floor, isfinite, log, sqrt
from statistics import NormalDist, median
from typing import TypeGuard

from attnprobe.compare.records import Verdict
from attnprobe.compare.student import quantile
from attnprobe.core.statistics import (
    CONFIDENCE,
    log_ratios,
    rank,
    rounds_needed,
)
from attnprobe.core.timing import Duration, Ratio

BETWEEN_SESSIONS = {"cuda": 0.02, "cpu": 0.10}
"""Differences between two runs that are called none, whatever their intervals say.

Chosen, not derived: tests/bench/upgrades.py prints the least that a machine needs.
The rounds of one run cannot see what is the same in all of them: where memory came to lie, how warm
the machine was, which neighbours it had. Two interpreters that take turns have fresh processes in
every turn, so their intervals hold it, and core/timing.SAME is enough."""

_FEWEST_ROUNDS = 6
"""Assumed of a duration that does not say how many rounds it is made of: fewer have no interval."""

_FAR = 700.0  # the exponential of 710 is no float any more

_Z = NormalDist().inv_cdf((1.0 + CONFIDENCE) / 2.0)


def shared(ratios: int) -> float:
    """The confidence of each of so many intervals with which all of them hold in 95% (Bonferroni)."""
    return 1.0 - (1.0 - CONFIDENCE) / max(1, ratios)


def is_time(value: float | None) -> TypeGuard[float]:
    """True for a positive number of seconds; a file may hold anything."""
    return value is not None and isfinite(value) and value > 0.0


def is_sound(duration: Duration) -> bool:
    """True when its numbers are times, and a median between two ends."""
    low, middle, high = duration.low, duration.median, duration.high
    return all(map(is_time, (low, middle, high))) and low <= middle <= high


def independent(old: Duration, new: Duration, confidence: float) -> Ratio:
    """The ratio new / old of two medians that were taken apart.

    The logarithms of the two intervals' ends are combined end by end, because they need not lie
    symmetrically (MOVER: Zou and Donner, Statistics in Medicine 27, 2008, 1693-1702). Each
    distance is read as 1.96 standard errors, and the interval spans as many of them as Student's t asks
    for at this confidence with Welch's degrees of freedom, counted in rounds.

    Args:
        old: An `is_sound` duration.
        new: Another.
        confidence: How often such intervals hold the truth.
    """
    downs = [(log(one.median) - log(one.low)) / _Z for one in (old, new)]
    ups = [(log(one.high) - log(one.median)) / _Z for one in (old, new)]
    freedom = _welch(
        [(a + b) / 2 for a, b in zip(downs, ups, strict=True)],
        [(one.rounds or _FEWEST_ROUNDS) - 1 for one in (old, new)],
    )
    t, middle = quantile(confidence, freedom), log(new.median) - log(old.median)
    low = middle - t * sqrt(downs[1] ** 2 + ups[0] ** 2)
    high = middle + t * sqrt(ups[1] ** 2 + downs[0] ** 2)
    rounds = min(one.rounds or _FEWEST_ROUNDS for one in (old, new))
    return Ratio(_exp(middle), _exp(low), _exp(high), rounds)


def _exp(value: float) -> float:
    """The exponential, as far as it is a float: two rounds may leave an interval that wide."""
    return exp(max(-_FAR, min(_FAR, value)))


def _welch(errors: Sequence[float], freedoms: Sequence[int]) -> int:
    """Degrees of freedom of the difference of two means with these standard errors."""
    total = sum(error**2 for error in errors)
    parts = sum(error**4 / max(1, freedom) for error, freedom in zip(errors, freedoms, strict=True))
    return max(1, floor(total**2 / parts)) if parts else 1


def paired(old: Sequence[float], new: Sequence[float], confidence: float) -> Ratio | str:
    """The ratio new / old of medians that were taken in turns; or why there is none.

    Every turn has fresh processes and draws its own order, so that ratios of turns are independent and
    the order statistics around their median hold as they are (core/statistics.py: `rank`).

    Args:
        old: One median per turn, in seconds.
        new: The same turns.
        confidence: How often such intervals hold the truth.
    """
    logs = sorted(log_ratios(new, old))
    outside = rank(len(logs), confidence)
    if not outside:
        needed = rounds_needed(confidence)
        return f"{len(logs)} turns were taken; {needed} are needed for so many comparisons"
    low, high = logs[outside - 1], logs[-outside]
    return Ratio(exp(median(logs)), exp(low), exp(high), len(logs))


def judged(ratio: Ratio, allowance: float) -> Verdict:
    """What can be said of NEW; differences within the allowance are called none."""
    if ratio.high < 1.0 - allowance:
        return "faster"
    return "slower" if ratio.low > 1.0 + allowance else "indistinguishable"


def allowance(device: str) -> float:
    """Which differences between two runs are called none, on cpu or cuda."""
    return BETWEEN_SESSIONS.get(device.partition(":")[0], max(BETWEEN_SESSIONS.values()))


def turns_wanted(ratios: int) -> int:
    """How many turns leave one disturbed turn at either end out of each interval."""
    confidence = shared(ratios)
    return next(n for n in count(rounds_needed(confidence)) if rank(n, confidence) >= 2)
