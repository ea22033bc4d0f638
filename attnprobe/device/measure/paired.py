"""Which of several contestants is faster: the same rounds, and only ratios within a round count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, log
from statistics import mean, median

from attnprobe.core.statistics import CONFIDENCE, log_ratios, median_interval
from attnprobe.core.timing import Ratio
from attnprobe.device.measure.clocks import Call, Clock
from attnprobe.device.measure.sampling import Series, collect

ENOUGH = 10  # log-ratios that are worth having instead of twice as many


@dataclass(frozen=True)
class Comparison:
    """Contestants against one of them.

    Args:
        to: The one that the others are compared to.
        ratios: time(contestant) / time(to), by contestant.
        series: What they were made from.
        withheld: Why a ratio is missing, each as `contestant: reason`.
    """

    to: str
    ratios: dict[str, Ratio]
    series: dict[str, Series]
    withheld: tuple[str, ...] = ()


def ratio(of: Series, to: Series, confidence: float = CONFIDENCE) -> Ratio | None:
    """Median of the log-ratios with its interval; None with too few rounds.

    A round and its mirror image (sampling.py: collect) make one log-ratio, their mean: a contestant
    that costs more where it comes first then does so as often as its rival, in every value and not
    only in the long run. Without, such values have two modes and a median anywhere between them. Where
    there are enough, the same is done to pairs, for what being first after the host's pause costs.
    """
    logs = mirrored(log_ratios(of.medians, to.medians))
    if len(logs) >= 2 * ENOUGH:
        logs = mirrored(logs)
    interval = median_interval(logs, confidence)
    if interval is None:
        return None
    low, high = interval
    return Ratio(exp(median(logs)), exp(low), exp(high), len(of.rounds))


def mirrored(values: Sequence[float]) -> list[float]:
    """The mean of each value and the one that mirrors it; one without is left out."""
    return [mean(pair) for pair in zip(values[::2], values[1::2], strict=False)]


def compare(
    calls: Mapping[str, Call],
    to: str,
    clock: Clock,
    budget_s: float,
    target_ci: float,
    seed: int = 0,
) -> Comparison:
    """Times all contestants interleaved and compares each with `to`.

    Sequential blocks of the same function were called different in 30% of A/A tests on a shared
    machine, interleaved pairs in 10%, with intervals half as wide. The 5% that may be wrong are
    shared among all comparisons (Bonferroni).

    Args:
        calls: Contestants by name, at least two.
        to: Name of the one to compare with.
        clock: How time is taken.
        budget_s: Seconds for all of it.
        target_ci: Half width of the interval of log(ratio) that suffices.
        seed: Seed of the order within rounds.
    """
    others = [name for name in calls if name != to]
    confidence = 1.0 - (1.0 - CONFIDENCE) / len(others)

    def width(series: Mapping[str, Series]) -> float:
        found = [ratio(series[name], series[to], confidence) for name in others]
        return max(inf if r is None else log(r.high / r.low) / 2 for r in found)

    series = collect(calls, clock, budget_s, target_ci, width, seed)
    ratios, withheld = {}, []
    for name in others:
        found = ratio(series[name], series[to], confidence)
        if found is None:
            rounds = len(series[name].rounds)
            withheld.append(f"{name}: {rounds} rounds are too few for an interval")
        else:
            ratios[name] = found
    return Comparison(to, ratios, series, tuple(withheld))
