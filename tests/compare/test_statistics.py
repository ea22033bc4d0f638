"""Comparisons of the same thing with itself find nothing; slow-downs that were planted are found."""

from __future__ import annotations

import random
from math import exp
from statistics import median

import pytest

from attnprobe.compare import ratios, student
from attnprobe.core.statistics import median_interval
from attnprobe.core.timing import SAME, Duration

FAMILIES = 300
"""Families of comparisons that are simulated; two standard errors of 5% are 2.5%."""
MOST = 0.05 + 0.025


def noise(kind: str, rng: random.Random) -> float:
    """The logarithm of one round's time: symmetric, skewed, or with stalls."""
    match kind:
        case "normal":
            return rng.gauss(0.0, 0.02)
        case "skewed":
            return rng.expovariate(1 / 0.02)
        case _:
            return rng.gauss(0.0, 0.01) + (0.3 if rng.random() < 0.1 else 0.0)


def timed(truth: float, rounds: int, kind: str, rng: random.Random) -> Duration:
    """What a session would say of something that takes `truth` seconds."""
    taken = [truth * exp(noise(kind, rng)) for _ in range(rounds)]
    interval = median_interval(taken)
    assert interval is not None
    return Duration(median(taken), *interval, n=rounds, rounds=rounds)


@pytest.mark.parametrize("kind", ["normal", "skewed", "stalls"])
@pytest.mark.parametrize(("rounds", "family"), [(8, 20), (20, 40), (80, 20)])
def test_a_family_of_sessions_apart_is_wrong_in_five_percent(kind, rounds, family):
    """All intervals of a family hold 1 in at least 95% of families, without any allowance."""
    rng = random.Random(f"{kind} {rounds}")
    confidence = ratios.shared(family)
    wrong = 0
    for _ in range(FAMILIES):
        for _ in range(family):
            old, new = (timed(1e-3, rounds, kind, rng) for _ in range(2))
            found = ratios.independent(old, new, confidence)
            if not found.low <= 1.0 <= found.high:
                wrong += 1
                break
    assert wrong / FAMILIES <= MOST


@pytest.mark.parametrize("family", [1, 9, 60])
def test_a_family_of_turns_is_wrong_in_five_percent(family):
    """The same of turns, whose fresh processes differ by more than any round within one shows."""
    rng, confidence = random.Random(family), ratios.shared(family)
    turns = ratios.turns_wanted(family)
    wrong = 0
    for _ in range(FAMILIES):
        for _ in range(family):
            old, new = ([exp(rng.gauss(0, 0.02)) for _ in range(turns)] for _ in range(2))
            found = ratios.paired(old, new, confidence)
            assert not isinstance(found, str)
            if not found.low <= 1.0 <= found.high:
                wrong += 1
                break
    assert wrong / FAMILIES <= MOST


def test_a_planted_slow_down_is_found_between_sessions():
    """5% among 60 comparisons, with intervals of about 0.5%, in at least 95%."""
    rng, confidence = random.Random(3), ratios.shared(60)
    found = 0
    for _ in range(FAMILIES):
        old, new = timed(1e-3, 120, "normal", rng), timed(1.05e-3, 120, "normal", rng)
        ratio = ratios.independent(old, new, confidence)
        found += ratios.judged(ratio, ratios.allowance("cuda")) == "slower"
    assert found / FAMILIES >= 0.95


def test_a_planted_slow_down_is_found_in_turns():
    """3% among 60 comparisons, processes differing by 0.5%, in at least 95%."""
    rng, confidence = random.Random(4), ratios.shared(60)
    turns, found = ratios.turns_wanted(60), 0
    for _ in range(FAMILIES):
        old = [exp(rng.gauss(0, 0.005)) for _ in range(turns)]
        new = [1.03 * exp(rng.gauss(0, 0.005)) for _ in range(turns)]
        ratio = ratios.paired(old, new, confidence)
        assert not isinstance(ratio, str)
        found += ratios.judged(ratio, SAME) == "slower"
    assert found / FAMILIES >= 0.95


def test_one_stalled_turn_hides_nothing():
    """A single turn that was disturbed, on either side, leaves a 3% slow-down to be seen."""
    turns = ratios.turns_wanted(60)
    for stalled in ("old", "new"):
        sides = {"old": [1.0] * turns, "new": [1.03] * turns}
        sides[stalled][2] = 5.0
        ratio = ratios.paired(sides["old"], sides["new"], ratios.shared(60))
        assert not isinstance(ratio, str)
        assert ratios.judged(ratio, SAME) == "slower"


@pytest.mark.parametrize(
    ("confidence", "freedom", "expected"),
    [
        (0.95, 1, 12.7062),
        (0.95, 2, 4.3027),
        (0.95, 5, 2.5706),
        (0.99, 9, 3.2498),
        (0.999, 30, 3.6460),
        (0.95, 120, 1.9799),
        (0.95, 10_000, 1.9602),
    ],
)
def test_quantiles_are_those_of_the_tables(confidence, freedom, expected):
    """Two-sided quantiles of Student's t as in any statistical table."""
    assert student.quantile(confidence, freedom) == pytest.approx(expected, rel=1e-3)


def test_few_rounds_count_for_less():
    """The same intervals made of fewer rounds say less about many comparisons."""
    few, many = (Duration(1.0, 0.99, 1.01, n=n, rounds=n) for n in (8, 200))
    wide, narrow = (ratios.independent(d, d, ratios.shared(100)) for d in (few, many))
    assert wide.high > narrow.high > 1.0


def test_the_worse_measured_side_decides_the_interval():
    """An interval ten times as wide on one side, with few rounds, is not averaged away."""
    good = Duration(1.0, 0.999, 1.001, n=200, rounds=200)
    poor = Duration(1.0, 0.99, 1.01, n=8, rounds=8)
    alone = ratios.independent(poor, poor, 0.95)
    mixed = ratios.independent(good, poor, 0.95)
    assert 1.01 < mixed.high <= alone.high
