"""Rounds of short bursts, contestants in random order and back, until the interval is narrow enough."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isinf
from statistics import median

from attnprobe.core.statistics import drift, median_interval, rounds_needed
from attnprobe.core.timing import Duration
from attnprobe.device.measure.clocks import Call, Clock, Reading

BURST_S = 1e-3  # a burst lasts about this long: short enough that many are spread over the budget
BURST_MAX = 20
ROUNDS_MIN = 10  # before sampling may stop early
STEADY = 0.02  # two successive warm-up bursts agree within this
WARM_UP = 0.1  # share of the budget that all warm-ups together may take
PATIENCE = 3  # budgets that may be spent before a number is withheld
LONGEST_S = 10.0  # as much as that where calls are so slow that rounds for an interval are lacking
WIDEST = 0.10  # relative half width above which a median is not reported
DRIFT = (
    1.05  # halves of a run that differ by more (and by more than the interval) are no one number
)


@dataclass(frozen=True)
class Series:
    """All rounds of one contestant.

    Args:
        rounds: Readings, burst by burst, in the order in which they were taken.
    """

    rounds: tuple[tuple[Reading, ...], ...]

    @property
    def medians(self) -> list[float]:
        """One value a round.

        Rounds, not readings, are the unit: the readings of one burst agree with each other much better
        than with those of a minute later, and an interval made of them covers nothing.
        """
        return [median(reading.seconds for reading in burst) for burst in self.rounds]

    @property
    def host_s(self) -> float:
        """Median time to launch, over all readings."""
        return median(reading.host_s for burst in self.rounds for reading in burst)

    @property
    def disturbed(self) -> float:
        """Share of readings that were disturbed."""
        flags = [reading.disturbed for burst in self.rounds for reading in burst]
        return sum(flags) / len(flags)

    @property
    def half_width(self) -> float:
        """Relative half width of the interval; inf while there are too few rounds."""
        medians = self.medians
        interval = median_interval(medians)
        if interval is None:
            return float("inf")
        return (interval[1] - interval[0]) / 2 / median(medians)

    def duration(self) -> Duration | str:
        """The median with its interval, or why there is none to report."""
        medians = self.medians
        n, around = sum(map(len, self.rounds)), f"about {median(medians):.3g} s"
        interval = median_interval(medians)
        if interval is None:
            needed = rounds_needed()
            return f"{len(medians)} rounds fitted the time; {needed} are needed ({around})"
        found = Duration(median(medians), *interval, n=n, rounds=len(medians))
        if found.half_width > WIDEST:
            return (
                f"the interval {found.low:.3g} to {found.high:.3g} s is wider than +-{WIDEST:.0%} "
                f"after {len(medians)} rounds ({around})"
            )
        moved = drift(medians)
        if moved > max(DRIFT, 1 + 2 * found.half_width):
            return f"unsteady: the halves of the run differ by {moved - 1:.0%} ({around})"
        return found


def warm_up(call: Call, clock: Clock, budget_s: float) -> float:
    """Calls until two successive bursts agree within `STEADY`, or the budget ends.

    Returns:
        Seconds that one sample costs, its untimed part included.
    """
    begin = clock.now()
    previous, n, calls = 0.0, 1, 0
    while True:
        start = clock.now()
        current = median(reading.seconds for reading in clock.burst(call, n))
        calls += n
        cost = (clock.now() - start) / n
        steady = abs(current - previous) <= STEADY * current
        if (steady and calls >= 3) or clock.now() - begin >= budget_s:
            return cost
        previous, n = current, _burst(cost)


def _burst(cost_s: float) -> int:
    return max(1, min(BURST_MAX, int(BURST_S / cost_s))) if cost_s > 0 else BURST_MAX


def collect(
    calls: Mapping[str, Call],
    clock: Clock,
    budget_s: float,
    target_ci: float,
    width: Callable[[Mapping[str, Series]], float],
    seed: int = 0,
) -> dict[str, Series]:
    """Samples all contestants, interleaved, until what they are sampled for is known well enough.

    Every round runs each contestant once. Rounds come in pairs, the second in the reverse order of the
    first: in the mean of the pair a drift at a steady rate cancels. Pairs come in twos, a new random
    order (google/benchmark docs/random_interleaving.md) and its reverse: who comes right after the
    host's pause between pairs does so in every other one, and the median lies between. Every burst has
    the same number of calls, whoever's it is: the first call behind a sleeping kernel is not like the
    tenth, and bursts of different lengths have medians of different mixtures.

    Pairs go on for at least half the budget, so that they are spread over time. Whether they suffice is
    asked at counts that grow by a quarter, because an interval that is looked at after every pair is
    narrow by chance sooner or later. Where the budget ends with an interval too wide to report, up to
    `PATIENCE` budgets are spent on it; with too few rounds for any interval, `LONGEST_S`.

    Args:
        calls: What to time, by name.
        clock: How.
        budget_s: Seconds for all of it, warm-up included.
        target_ci: Width at which sampling stops.
        width: Relative half width of the widest interval of what is estimated; inf while there is
            none.
        seed: Seed of the order.
    """
    order = random.Random(seed)
    begin = clock.now()
    costs = {
        name: warm_up(call, clock, WARM_UP * budget_s / len(calls)) for name, call in calls.items()
    }
    size = min(map(_burst, costs.values()))
    rounds: dict[str, list[tuple[Reading, ...]]] = {name: [] for name in calls}
    taken, check, names = 0, ROUNDS_MIN, list(calls)
    lasts = 2 * size * sum(costs.values())
    longest = max(PATIENCE * budget_s, LONGEST_S)
    while True:
        elapsed = clock.now() - begin
        so_far = {name: Series(tuple(done)) for name, done in rounds.items()}
        if taken and elapsed + lasts > budget_s:
            known = width(so_far)
            patience = longest if isinf(known) else PATIENCE * budget_s
            if known <= WIDEST or elapsed + lasts > patience:
                return so_far
        if taken >= check and elapsed >= budget_s / 2:
            if width(so_far) <= target_ci:
                return so_far
            check = taken + taken // 4
        start = clock.now()
        names = names[::-1] if taken % 4 else order.sample(list(calls), len(calls))
        for name in (*names, *reversed(names)):
            rounds[name].append(tuple(clock.burst(calls[name], size)))
        lasts = min(lasts, clock.now() - start)  # the least: one stall must not end the sampling
        taken += 2
