"""Exponents and crossovers: what sweeps say, and where they must say nothing."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, Refused
from attnprobe.core.parity import Parity
from attnprobe.core.report import Report
from attnprobe.core.timing import Timing
from attnprobe.core.trial import Record, Trial
from attnprobe.report import terminal
from attnprobe.report.compose import sweeps
from attnprobe.report.compose.cost_table import one_case
from attnprobe.report.compose.costs import costs, fastest
from attnprobe.report.compose.crossovers import crossovers, leaders
from attnprobe.report.compose.scaling import Fit, Scaling, fit, scalings, t_quantile
from attnprobe.report.compose.sweeps import Sweep
from attnprobe.report.document import Document
from tests.profiling.cases import CASE, duration, report, timed

LENGTHS = (512, 1024, 2048, 4096, 8192)


def at(length: int) -> Case:
    return CASE.edit(Mq=length, Mkv=length)


def only_sweep(found: Report) -> Sweep:
    (sweep,), left = sweeps.find(costs(found))
    assert left == []
    return sweep


def scaling(found: Report, quantity: str, backend: str = "eager") -> Scaling:
    every = scalings(only_sweep(found), costs(found))
    return next(s for s in every if (s.quantity, s.backend) == (quantity, backend))


@pytest.mark.parametrize(("freedom", "value"), [(1, 12.706), (2, 4.303), (3, 3.182), (10, 2.228)])
def test_the_quantile_is_that_of_the_tables(freedom: int, value: float) -> None:
    """Abramowitz and Stegun, table 26.10, 95% two-sided."""
    assert t_quantile(freedom) == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_a_power_law_has_its_exponent(exponent: float) -> None:
    """Without noise the interval is a point."""
    found = fit([(n, 3e-9 * n**exponent) for n in LENGTHS])
    assert isinstance(found, Fit)
    assert found.exponent == pytest.approx(exponent, abs=1e-9)
    assert found.high - found.low < 1e-6


def test_the_interval_holds_the_exponent_as_often_as_it_says() -> None:
    """2,000 noisy sweeps of five points: 95% of the intervals hold the truth."""
    draw = random.Random(0)
    held = 0
    for _ in range(2000):
        points = [(n, 1e-9 * n**1.7 * 2.718 ** draw.gauss(0, 0.05)) for n in LENGTHS]
        found = fit([(float(n), cost) for n, cost in points])
        assert isinstance(found, Fit)
        held += found.low <= 1.7 <= found.high
    assert 0.93 < held / 2000 < 0.97


def test_a_curve_has_a_wide_interval() -> None:
    """A constant and a square together are no power law, and nobody is told that they are."""
    found = fit([(n, 1e-3 + 1e-9 * n**2) for n in LENGTHS])
    assert isinstance(found, Fit)
    assert found.high - found.low > 0.5
    assert list(found.local.values()) == sorted(found.local.values())


def test_too_few_points_have_no_exponent() -> None:
    """Two points, or three within a factor of four, are an anecdote."""
    assert fit([(512.0, 1.0), (4096.0, 2.0)]) == "2 points; 3 are needed"
    assert "factor of 4" in str(fit([(512.0, 1.0), (768.0, 1.5), (1024.0, 2.0)]))


def test_time_and_memory_have_exponents_of_their_own() -> None:
    """Quadratic time and linear memory."""
    found = report(*(timed(at(n), "eager", 1e-9 * n**2, peak=64 * n) for n in LENGTHS))
    time, memory = scaling(found, "time").fit, scaling(found, "memory").fit
    assert time is not None
    assert memory is not None
    assert (time.exponent, memory.exponent) == pytest.approx((2.0, 1.0))


def test_wrong_and_launch_bound_points_do_not_count() -> None:
    """They are named with the reason, and the exponent is that of the others."""
    rows = [timed(at(n), "eager", 1e-9 * n**2) for n in LENGTHS]
    rows[0] = timed(at(512), "eager", 9e-3, launch_bound=True)
    rows[4] = timed(at(8192), "eager", 1e-6, verdict="fail")
    found = scaling(report(*rows), "time")
    assert found.fit is not None
    assert found.fit.exponent == pytest.approx(2.0)
    assert found.left_out == ("512: launch-bound", "8192: wrong")


def test_a_sweep_over_no_length_has_no_exponent() -> None:
    """Time over the head dim is no power law that anybody asks for."""
    found = report(*(timed(CASE.edit(K=k, Kv=k), "eager", 1e-3) for k in (32, 64, 128)))
    assert only_sweep(found).field.name == "K"
    assert scalings(only_sweep(found), costs(found)) == []


def test_two_cases_are_no_sweep() -> None:
    """A workload with two lengths is shown case by case."""
    found, left = sweeps.find([at(512), at(1024)])
    assert found == []
    assert left == [at(512), at(1024)]


def test_a_grid_is_a_sweep_for_each_of_its_other_values() -> None:
    """Five lengths at two batch sizes: two sweeps over M."""
    found, left = sweeps.find([at(n).edit(B=b) for b in (1, 8) for n in LENGTHS])
    assert [(s.field.name, list(s.points)) for s in found] == [("M", list(LENGTHS))] * 2
    assert left == []


def test_cases_of_different_names_are_no_sweep() -> None:
    """A model's layers are not points of one curve."""
    found, left = sweeps.find([at(n).edit(name=f"layer {n}") for n in LENGTHS])
    assert found == []
    assert len(left) == len(LENGTHS)


def test_a_crossover_lies_between_certain_points() -> None:
    """Where the intervals meet nothing is certain, so that the crossover is wider than one step."""
    slow = dict(zip(LENGTHS, (1.0, 2.0, 4.0, 8.0, 16.0), strict=True))
    fast = dict(zip(LENGTHS, (3.0, 3.1, 4.01, 5.0, 7.0), strict=True))
    found = report(
        *(
            timed(at(n), name, ms[n] * 1e-3)
            for n in LENGTHS
            for name, ms in (("a", slow), ("b", fast))
        )
    )
    (cross,) = crossovers(only_sweep(found), costs(found))
    assert (cross.below, cross.above, cross.low, cross.high) == ("a", "b", 1024, 4096)


def test_a_wrong_backend_overtakes_nobody() -> None:
    """However fast it is."""
    found = report(
        *(timed(at(n), "a", 1e-9 * n**2) for n in LENGTHS),
        *(timed(at(n), "b", 1e-6 * n, verdict="fail") for n in LENGTHS),
    )
    assert crossovers(only_sweep(found), costs(found)) == []
    assert leaders(only_sweep(found), costs(found)) == [("a", 512, 8192)]


def test_a_lead_lasts_until_it_is_lost_clearly() -> None:
    """Two backends within each other's intervals do not take turns in the lead."""
    found = report(
        *(
            timed(at(n), name, (1.0 + 0.005 * ((i + j) % 2)) * 1e-3)
            for i, n in enumerate(LENGTHS)
            for j, name in enumerate("ab")
        )
    )
    assert leaders(only_sweep(found), costs(found)) == [("a", 512, 8192)]


def test_a_forward_alone_stands_with_the_whole_case_and_wins_nothing() -> None:
    """Who refuses the backward has a row in the table of the case that asked for it."""
    refused = Record(Trial(CASE, "splitk", "time"), Refused("library", ("no backward",)))
    alone = timed(CASE.edit(passes="fwd"), "splitk", 1e-6)
    (same,) = costs(report(timed(CASE, "eager", 1e-3), refused, alone)).values()
    assert [(cost.backend, cost.forward_alone) for cost in same] == [
        ("eager", False),
        ("splitk", True),
    ]
    best = fastest(same)
    assert best is not None
    assert best.backend == "eager"


def test_the_least_memory_is_that_of_the_whole_case() -> None:
    """A forward that stands in for a refused backward needs less, and does not say so for all."""
    refused = Record(Trial(CASE, "splitk", "time"), Refused("library", ("no backward",)))
    alone = timed(CASE.edit(passes="fwd"), "splitk", 1e-6)
    assert isinstance(alone.outcome, Measured)
    assert alone.outcome.timing is not None
    small = replace(alone.outcome.timing, floor_bytes=2**10)
    forward = replace(alone, outcome=replace(alone.outcome, timing=small))
    (same,) = costs(report(timed(CASE, "eager", 1e-3), refused, forward)).values()
    assert "least memory 1.00 MiB" in terminal.text(Document(one_case(same)))


def test_wrong_ones_are_listed_behind_right_ones() -> None:
    """However fast they are."""
    wrong, slow = timed(CASE, "a", 1e-6, verdict="fail"), timed(CASE, "b", 1.0)
    (same,) = costs(report(wrong, slow)).values()
    assert [cost.backend for cost in same] == ["b", "a"]


def test_a_forward_that_was_asked_for_keeps_its_case() -> None:
    """A workload with a training and an inference case of one shape has two cases."""
    found = costs(report(timed(CASE, "eager", 2e-3), timed(CASE.edit(passes="fwd"), "eager", 1e-3)))
    assert len(found) == 2


def test_memory_of_a_fresh_process_replaces_the_timings_own() -> None:
    """Where both were taken, the one that was measured by itself counts."""
    weighed = Measured("is_causal", timing=Timing(peak_bytes=77, floor_bytes=7, memory="resident"))
    (same,) = costs(
        report(timed(CASE, "eager", 1e-3), Record(Trial(CASE, "eager", "fits"), weighed))
    ).values()
    assert same[0].memory.peak_bytes == 77


def test_no_power_is_no_win() -> None:
    """A bound that is too wide to count as evidence does not make a winner."""
    unsure = Measured(
        "x", Parity("no_power", "fused"), Timing(duration(1e-6), None, duration(1e-6))
    )
    (same,) = costs(report(Record(Trial(CASE, "eager", "time"), unsure))).values()
    assert fastest(same) is None
