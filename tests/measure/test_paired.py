"""Two contestants are called different when they are, and seldom when they are not."""

import random

import pytest

from attnprobe.device.measure import sampling
from attnprobe.device.measure.clocks import Reading
from attnprobe.device.measure.paired import compare, ratio
from tests.measure.fake_clock import FakeClock, neighbours, sinking, taking, wandering

MACHINES = {
    "shared": lambda rng: FakeClock(neighbours(rng)),
    "wanders": lambda rng: FakeClock(wandering(rng)),
    "sinks": lambda rng: FakeClock(sinking(0.3)),
    "rests between pairs": lambda rng: FakeClock(rested=0.03),
    "wakes up in every burst": lambda rng: FakeClock(cold=0.1),
}


def race(seed, slower, machine="shared", call_s=1e-3, spread=0.03, budget_s=1.0):
    rng = random.Random(seed)
    calls = {"a": taking(call_s, rng, spread), "b": taking(call_s * slower, rng, spread)}
    clock = MACHINES[machine](random.Random(seed + 1))
    return compare(calls, "a", clock, budget_s, 0.01, seed).ratios["b"]


@pytest.mark.parametrize("machine", MACHINES)
def test_the_same_function_is_seldom_called_different(machine):
    """A/A: intervals exclude 1 in 5% and what 200 trials may add, by more than SAME in 1% at most."""
    found = [race(seed, 1.0, machine, 3e-4, 0.01, 0.15) for seed in range(200)]
    excluded = sum(not one.low <= 1.0 <= one.high for one in found)
    assert excluded <= 16
    assert sum(one.verdict != "indistinguishable" for one in found) <= 2


def test_who_comes_first_after_a_pause_costs_no_width():
    """A rest of 3% between pairs leaves intervals as narrow as none."""
    rests, steady = (
        [race(seed, 1.0, machine, 3e-4, 0.003, 0.15) for seed in range(20)]
        for machine in ("rests between pairs", "sinks")
    )
    widths = [sorted(one.high / one.low for one in found)[10] - 1 for found in (rests, steady)]
    assert widths[0] < 1.5 * widths[1]


def test_few_rounds_are_paired_with_their_mirror_images():
    """Six pairs: first costs a tenth more, in one round to the one, in the next to the other."""
    of, to = (
        sampling.Series(tuple((Reading(seconds, seconds),) for seconds in medians * 6))
        for medians in ([1.1, 1.0], [1.0, 1.1])
    )
    found = ratio(of, to)
    assert (found.low, found.median, found.high) == pytest.approx((1.0, 1.0, 1.0))
    assert found.rounds == 12


class Uneven(FakeClock):
    """Bursts of one contestant have six calls, those of the other one."""

    def burst(self, call, n):
        return super().burst(call, 6 if call is self.longer else 1)


def test_bursts_of_different_lengths_would_tell_the_same_function_apart():
    """What equal lengths are for, on a machine where the first calls of a burst are slower."""
    for seed in range(20):
        rng, clock = random.Random(seed), Uneven(cold=0.2)
        calls = {name: taking(3e-4, rng, 0.003) for name in "ab"}
        clock.longer = calls["b"]
        found = compare(calls, "a", clock, 0.15, 0.01, seed).ratios["b"]
        assert found.verdict == "faster"


def test_one_block_after_the_other_would_be_called_different():
    """The same machine defeats sequential blocks: what interleaving is for."""
    wrong = 0
    for seed in range(100):
        rng, clock = random.Random(seed), FakeClock(neighbours(random.Random(seed + 1), period=0.5))
        blocks = []
        for _ in range(2):
            alone = {"x": taking(1e-3, rng, 0.03)}
            series = sampling.collect(alone, clock, 1.0, 0.01, lambda s: s["x"].half_width)
            blocks.append(series["x"].duration())
        a, b = blocks
        wrong += isinstance(a, str) or isinstance(b, str) or a.high < b.low or b.high < a.low
    assert wrong > 50


@pytest.mark.parametrize(("factor", "verdict"), [(1.03, "slower"), (1 / 1.03, "faster")])
def test_an_injected_difference_of_three_percent_is_found(factor, verdict):
    """With a target of 1%, in at least 95 of 100 races, in both directions."""
    assert [race(seed, factor).verdict for seed in range(100)].count(verdict) >= 95


def test_the_ratio_is_what_was_injected():
    """And its interval is as narrow as was asked for."""
    found = race(0, 1.10)
    assert found.median == pytest.approx(1.10, rel=0.015)
    assert found.low <= 1.10 <= found.high
    assert (found.high - found.low) / 2 < 0.015


def test_many_comparisons_share_the_five_percent():
    """Eight copies of one function: seldom is any of them called different."""
    alarms = 0
    for seed in range(40):
        rng = random.Random(seed)
        calls = {str(name): taking(1e-3, rng, 0.03) for name in range(9)}
        clock = FakeClock(neighbours(random.Random(seed + 1)))
        ratios = compare(calls, "0", clock, 2.0, 0.01, seed).ratios.values()
        alarms += any(one.verdict != "indistinguishable" for one in ratios)
    assert alarms <= 6


def test_too_few_rounds_give_no_ratio_but_a_reason():
    """Two calls of 3 s are too slow even for ten times the budget."""
    rng = random.Random(0)
    calls = {"a": taking(3.0, rng), "b": taking(3.0, rng)}
    found = compare(calls, "a", FakeClock(), 1.0, 0.01)
    assert not found.ratios
    assert "too few" in found.withheld[0]
