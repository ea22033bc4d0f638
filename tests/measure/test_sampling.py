"""Sampling stops when a number is known, goes on while it is not, and says so when it never is."""

import random

from attnprobe.core.timing import Duration
from attnprobe.device.measure import sampling
from attnprobe.device.measure.clocks import Call, Reading
from tests.measure.fake_clock import FakeClock, neighbours, taking


def widest(series):
    return max(one.half_width for one in series.values())


def sample(call, clock, budget_s=1.0, target_ci=0.01, **others):
    return sampling.collect({"it": call, **others}, clock, budget_s, target_ci, widest)


def test_intervals_cover_the_truth_although_sampling_stops_when_they_are_narrow():
    """Stopping on a narrow interval must not make it a lucky one."""
    covered = 0
    for seed in range(200):
        rng = random.Random(seed)
        found = sample(taking(1e-3, rng, 0.05), FakeClock())["it"].duration()
        assert isinstance(found, Duration)
        covered += found.low <= 1e-3 <= found.high
    assert covered >= 184  # 95% of 200, less two standard errors


def test_noise_that_rounds_share_does_not_hide_from_the_interval():
    """Slow moments of many calls, some of several rounds: only independent rounds count."""
    covered = 0
    for seed in range(60):
        rng = random.Random(seed)
        clock = FakeClock(neighbours(rng, period=4e-3, slow=0.2))
        found = sample(taking(1e-4, rng, 0.001), clock, 0.5)["it"].duration()
        assert isinstance(found, Duration)
        covered += found.low <= 1.1e-4 <= found.high
    assert covered >= 54


def test_a_quiet_machine_is_left_after_half_the_budget():
    """Precise at once, but spread over time all the same."""
    clock = FakeClock()
    found = sample(taking(1e-3, random.Random(0), 0.001), clock)["it"]
    assert 0.5 <= clock.time < 0.6
    assert found.half_width < 0.01


def test_the_budget_ends_a_run_that_stays_wide_but_reportable():
    """4% where 0.1% was aimed at is a number, with its interval."""
    clock = FakeClock()
    found = sample(taking(0.02, random.Random(0), 0.1), clock, target_ci=0.001)["it"]
    assert clock.time <= 1.0
    assert isinstance(found.duration(), Duration)


def test_a_slow_call_gets_more_than_its_budget_before_it_is_given_up():
    """Six rounds of 0.25 s do not fit into 1 s; they are taken."""
    clock = FakeClock()
    found = sample(taking(0.25, random.Random(0), 0.01), clock)["it"].duration()
    assert isinstance(found, Duration)
    assert 1.0 < clock.time <= sampling.PATIENCE * 1.0


def test_what_is_too_slow_for_any_interval_is_withheld_with_the_reason():
    """Four rounds are no 95% interval, and the reader learns what a call takes about."""
    clock = FakeClock()
    found = sample(taking(1.9, random.Random(0), 0.01), clock)["it"].duration()
    assert isinstance(found, str)
    assert "6 are needed" in found
    assert "about 1.9" in found
    assert clock.time <= sampling.LONGEST_S


def test_a_call_of_a_second_gets_the_six_rounds_that_an_interval_takes():
    """However short the budget is: a long context is measured too."""
    found = sample(taking(0.9, random.Random(0), 0.01), FakeClock(), 0.45)["it"].duration()
    assert isinstance(found, Duration)
    assert found.rounds == 6


def test_an_interval_too_wide_is_withheld_with_the_reason():
    """A median that may be off by a third is not reported."""
    rng = random.Random(1)
    wild = Call(lambda _: rng.choice([0.05, 0.12]))
    found = sample(wild, FakeClock())["it"].duration()
    assert isinstance(found, str)
    assert "wider than" in found


def test_a_run_that_drifts_is_withheld_as_unsteady():
    """Clocks that sank by 20% half way leave no one number."""
    clock = FakeClock(lambda now: 1.0 if now < 0.6 else 1.2)
    found = sample(taking(0.002, random.Random(0), 0.001), clock, target_ci=1e-9)["it"].duration()
    assert isinstance(found, str)
    assert "unsteady" in found


def test_warm_up_lasts_until_the_call_is_steady():
    """A call that starts ten times slower is not sampled before it has settled."""
    taken = [0]

    def settling(_):
        taken[0] += 1
        return 1e-3 * (1 + 9 * 0.7 ** taken[0])

    found = sample(Call(settling), FakeClock(), budget_s=3.0)["it"]
    assert max(found.medians) < 1.1e-3


def test_every_round_runs_every_contestant_in_changing_order():
    """No contestant is always first, and none is left out."""
    names: list[str] = []

    class Watched(FakeClock):
        def burst(self, call: Call, n: int) -> list[Reading]:
            names.append(call.before())
            return super().burst(call, n)

    calls = {name: Call(lambda _: 0.01, lambda name=name: name) for name in "abc"}
    series = sampling.collect(calls, Watched(), 1.0, 1e-9, widest)
    rounds = len(series["a"].rounds)
    assert {len(one.rounds) for one in series.values()} == {rounds}
    tail = names[-3 * rounds :]
    orders = [tail[i : i + 3] for i in range(0, len(tail), 3)]
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)
    assert len(set(map(tuple, orders))) >= 4


def test_every_second_round_mirrors_the_first_and_every_second_pair_the_pair():
    """As a b, b a, b a, a b: who comes first in one pair comes last in the next."""
    names: list[str] = []

    class Watched(FakeClock):
        def burst(self, call: Call, n: int) -> list[Reading]:
            names.append(call.before())
            return super().burst(call, n)

    calls = {name: Call(lambda _: 0.01, lambda name=name: name) for name in "ab"}
    series = sampling.collect(calls, Watched(), 1.0, 1e-9, widest)
    tail = names[-2 * len(series["a"].rounds) :]
    for i in range(0, len(tail) - 7, 8):
        first, second = tail[i : i + 2], tail[i : i + 2][::-1]
        assert tail[i : i + 8] == [*first, *second, *second, *first]


def test_a_short_call_is_sampled_in_bursts_and_a_long_one_alone():
    """A burst lasts a millisecond or one call."""
    short = sample(taking(1e-4, random.Random(0)), FakeClock())["it"]
    long = sample(taking(1e-2, random.Random(0)), FakeClock())["it"]
    assert {len(burst) for burst in short.rounds} <= set(range(8, 13))
    assert {len(burst) for burst in long.rounds} == {1}


def test_bursts_of_all_contestants_have_the_same_length():
    """Behind a sleeping kernel the first call is not like the tenth."""
    rng = random.Random(0)
    calls = {"short": taking(1e-4, rng), "long": taking(4e-4, rng)}
    series = sampling.collect(calls, FakeClock(), 1.0, 0.01, widest)
    lengths = {len(burst) for one in series.values() for burst in one.rounds}
    assert len(lengths) == 1
