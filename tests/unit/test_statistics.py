"""Intervals cover what they claim to cover, whatever the distribution."""

import random
from statistics import median

import pytest

from attnprobe.core import statistics as stats


@pytest.mark.parametrize("n", [6, 7, 10, 25, 64, 301])
@pytest.mark.parametrize("kind", ["lognormal", "two modes", "heavy tail"])
def test_the_interval_covers_the_median_at_least_as_often_as_claimed(n, kind):
    """95% of intervals hold the true median: skewed, bimodal and without a variance."""
    rng = random.Random(n)
    draw, truth = {
        "lognormal": (lambda: rng.lognormvariate(0.0, 0.7), 1.0),
        "two modes": (lambda: rng.gauss(1.0, 0.1) + 10 * (rng.random() < 0.3), None),
        "heavy tail": (lambda: 1.0 + 1.0 / rng.random(), 3.0),
    }[kind]
    if truth is None:
        truth = median(draw() for _ in range(200_001))
    trials, covered = 1500, 0
    for _ in range(trials):
        low, high = stats.median_interval([draw() for _ in range(n)])
        covered += low <= truth <= high
    assert covered / trials >= 0.95 - 0.012  # two standard errors of 1500 trials


def test_too_few_values_have_no_interval():
    """Five values cannot bracket their median at 95%, six can; stricter confidence needs more."""
    assert stats.median_interval([1.0, 2.0, 3.0, 4.0, 5.0]) is None
    assert stats.median_interval([6.0, 2.0, 3.0, 4.0, 5.0, 1.0]) == (1.0, 6.0)
    assert stats.rounds_needed() == 6
    assert stats.rounds_needed(0.99) == 8


def test_the_interval_narrows_with_more_values():
    """Known ranks: David and Nagaraja's table for the median, 95%."""
    assert [stats.rank(n) for n in (6, 9, 12, 15, 20, 25, 30, 50)] == [1, 2, 3, 4, 6, 8, 10, 18]


def test_drift_sees_halves_that_differ_and_not_one_outlier():
    """The medians of the halves are compared, so that a hiccup is no drift."""
    assert stats.drift([1.0] * 10 + [1.2] * 10) == pytest.approx(1.2)
    assert stats.drift([1.2] * 10 + [1.0] * 10) == pytest.approx(1.2)
    assert stats.drift([1.0] * 10 + [50.0] + [1.0] * 9) == 1.0


def test_values_that_follow_each_other_count_as_fewer():
    """Ten slow and ten fast in a row are not twenty values; alternating or random ones are."""
    assert stats.independent([1.0] * 10 + [2.0] * 10) <= 2
    assert stats.independent([1.0, 2.0] * 10) == 20
    rng = random.Random(0)
    counted = [stats.independent([rng.random() for _ in range(50)]) for _ in range(200)]
    assert median(counted) == 50
    assert min(counted) >= 8


def test_balanced_signs_are_expected_to_disagree_a_little():
    """Runs of four: products sum to 13 of 23 and 2 of 22, each 1 / 23 from what chance gives."""
    runs = [float(i // 4 % 2) for i in range(24)]
    r1, r2 = 13 / 23 + 1 / 23, 2 / 22 + 1 / 23
    assert stats.independent(runs) == int(24 / (1 + 2 * (r1 + r2))) == 9


@pytest.mark.parametrize(("correlation", "most"), [(0.0, 0.05), (0.3, 0.06), (0.6, 0.09)])
def test_intervals_of_values_that_remember_each_other_cover_the_median(correlation, most):
    """AR(1), 40 values: an interval for independent ones would miss in 5%, 16% and 31%."""
    rng, missed, trials = random.Random(1), 0, 600
    for _ in range(trials):
        values = [rng.gauss(0.0, 1.0)]
        while len(values) < 40:
            fresh = rng.gauss(0.0, (1 - correlation**2) ** 0.5)
            values.append(correlation * values[-1] + fresh)
        low, high = stats.median_interval(values)
        missed += not low <= 0.0 <= high
    assert missed / trials <= most + 0.01
