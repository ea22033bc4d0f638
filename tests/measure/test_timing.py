"""`measure` reports what it can stand by and a reason for everything else."""

import json
from dataclasses import replace

import pytest
import torch

from attnprobe.core import cost
from attnprobe.core.jsonio import decode, encode
from attnprobe.core.sampling import Sampling
from attnprobe.core.timing import Duration, Rates, Ratio, Timing
from attnprobe.device.measure import clocks, compare, measure, sampling, timing
from attnprobe.device.measure.clocks import CpuClock
from attnprobe.device.measure.cold import Cold
from tests.measure.attention import Attention, calls_of, small, written_out

FAST = Rates(flops=1e15, bytes=1e15, text="assumed")


@pytest.fixture(autouse=True)
def _assumed_rates(monkeypatch):
    monkeypatch.setattr(timing.roofline, "rates", lambda device, dtype: FAST)


@pytest.fixture
def _tolerant(monkeypatch):
    """This machine is shared: a wide interval is no failure of these tests."""
    monkeypatch.setattr(sampling, "WIDEST", 10.0)
    monkeypatch.setattr(sampling, "DRIFT", 10.0)


@pytest.mark.usefixtures("_tolerant")
def test_a_case_gets_all_its_numbers():
    """Three passes with intervals, memory with its floor, first call, operations, clock and cache."""
    case, inputs = small()
    attention = Attention()
    found = measure(
        attention.prepare(inputs), inputs, Sampling(budget_s=0.3), prepare=attention.prepare
    )
    assert found.withheld == ()
    for one in (found.fwd_s, found.bwd_s, found.fwd_bwd_s):
        assert 0 < one.low <= one.median <= one.high
        assert one.rounds >= 6
        assert not one.launch_bound
    assert found.fwd_bwd_s.median > found.fwd_s.median
    assert found.peak_bytes >= found.floor_bytes == cost.floor_bytes(case)
    assert found.flops == cost.flops(case, "fwd")
    assert found.first_call_s > 0
    assert "perf_counter" in found.clock
    assert found.cache.startswith(("cold", "warm"))
    assert found.rates is FAST


@pytest.mark.usefixtures("_tolerant")
def test_rates_of_a_pass_are_its_operations_over_its_median():
    """TFLOP/s and the share of the limit follow from the formulas of core/cost.py."""
    case, inputs = small()
    found = measure(Attention().prepare(inputs), inputs, Sampling(budget_s=0.2)).bwd_s
    flops, moved = cost.flops(case, "bwd"), cost.bytes_min(case, "bwd")
    assert found.tflops == pytest.approx(flops / found.median / 1e12)
    assert found.roofline_share == pytest.approx(max(flops, moved) / 1e15 / found.median)


@pytest.mark.usefixtures("_tolerant")
def test_a_share_above_the_limit_is_not_reported(monkeypatch):
    """Faster than the limit means that limit or time is wrong: a note instead of a share."""
    slow = Rates(flops=1.0, bytes=1.0)
    monkeypatch.setattr(timing.roofline, "rates", lambda device, dtype: slow)
    _, inputs = small(passes="fwd")
    found = measure(Attention().prepare(inputs), inputs, Sampling(budget_s=0.1))
    assert found.fwd_s.roofline_share is None
    assert any("faster than the measured limit" in note for note in found.notes)


@pytest.mark.usefixtures("_tolerant")
def test_the_first_call_is_what_the_caller_timed():
    """Else it is measured here, and a note says that it was not the first of all."""
    _, inputs = small(passes="fwd")
    given = measure(Attention().prepare(inputs), inputs, Sampling(budget_s=0.05), first_call_s=12.5)
    own = measure(Attention().prepare(inputs), inputs, Sampling(budget_s=0.05))
    assert given.first_call_s == 12.5
    assert not any("first_call_s" in note for note in given.notes)
    assert any("first_call_s" in note for note in own.notes)


def test_what_is_too_noisy_is_withheld_and_the_rest_is_given(monkeypatch):
    """A pass without a trustworthy median does not take the others with it."""
    monkeypatch.setattr(sampling, "WIDEST", 1e-12)
    _, inputs = small(passes="fwd")
    found = measure(Attention().prepare(inputs), inputs, Sampling(budget_s=0.05))
    assert found.fwd_s is None
    assert found.withheld[0].startswith("fwd_s: the interval")
    assert found.peak_bytes is not None


def test_a_case_that_wants_gradients_of_nothing_says_so():
    """Backward is withheld with its reason."""
    _, inputs = small(grads=())
    found = measure(Attention().prepare(inputs), inputs, Sampling(budget_s=0.05))
    assert found.bwd_s is None
    assert any(reason.startswith("bwd_s: no input") for reason in found.withheld)


def test_an_error_of_the_library_is_not_swallowed():
    """It belongs to the trial's boundary, which makes an outcome of it."""

    def broken(q, k, v):
        raise RuntimeError("no kernel")

    _, inputs = small()
    with pytest.raises(RuntimeError, match="no kernel"):
        measure(Attention(broken).prepare(inputs), inputs, Sampling(budget_s=0.05))


def test_the_host_can_take_times_back():
    """Throttled clocks are seen by the host alone: memory stays, times go, the reason is added."""
    one = Duration(1.0, 0.9, 1.1, 10)
    before = Timing(fwd_s=one, peak_bytes=5, withheld=("bwd_s: unsteady",))
    after = before.without_times("clocks were throttled (thermal)")
    assert after.fwd_s is None
    assert after.peak_bytes == 5
    assert after.withheld == ("bwd_s: unsteady", "fwd_s: clocks were throttled (thermal)")


def test_a_timing_survives_json():
    """Host and child agree on every field."""
    one = Duration(1.0, 0.9, 1.1, 10, 5, True, 2.0, 3.0, 0.5, "memory")
    timing_ = Timing(fwd_s=one, rates=FAST, notes=("a",), cache="cold", target_ci=0.02)
    assert decode(Timing, json.loads(json.dumps(encode(timing_))), {}) == timing_


def test_only_an_interval_beyond_half_a_percent_is_a_verdict():
    """Faster and slower need evidence, and more of it than a kernel shows against itself."""
    neutral = Ratio(1.01, 0.99, 1.03, 20)
    assert neutral.verdict == "indistinguishable"
    assert replace(neutral, low=1.004).verdict == "indistinguishable"
    assert replace(neutral, low=1.006).verdict == "slower"
    assert replace(neutral, median=0.98, low=0.97, high=0.996).verdict == "indistinguishable"
    assert replace(neutral, median=0.98, low=0.97, high=0.994).verdict == "faster"


@pytest.mark.slow
def test_a_real_slow_down_is_found_on_this_machine():
    """The same attention, once with a third of its work repeated."""
    _, inputs = small(Mq=256, Mkv=256, K=32, Kv=32, passes="fwd")

    def more(q, k, v):
        q[:, :1] @ k[:, :1].transpose(-2, -1)
        return written_out(q, k, v)

    contestants = {
        name: calls_of(Cold((Attention(function).prepare(inputs),), "warm"), inputs)["fwd"]
        for name, function in (("plain", written_out), ("more", more))
    }
    found = compare(contestants, "plain", CpuClock(), 1.0, 0.01).ratios["more"]
    assert found.verdict == "slower"


@pytest.mark.slow
def test_a_real_function_is_seldom_different_from_itself():
    """Twenty A/A comparisons on this shared machine; five wrong ones would be one in 500 at 5%."""
    _, inputs = small(passes="fwd")
    call = calls_of(Cold((Attention().prepare(inputs),), "warm"), inputs)["fwd"]
    again = clocks.Call(call.run, call.before)
    verdicts = [
        compare({"a": call, "b": again}, "a", CpuClock(), 0.1, 0.01, seed).ratios["b"].verdict
        for seed in range(20)
    ]
    assert verdicts.count("indistinguishable") >= 16


def test_torch_is_left_as_it_was():
    """Measuring changes no global setting."""
    before = (torch.get_num_threads(), torch.is_grad_enabled(), torch.get_default_dtype())
    _, inputs = small()
    measure(Attention().prepare(inputs), inputs, Sampling(budget_s=0.05))
    assert before == (torch.get_num_threads(), torch.is_grad_enabled(), torch.get_default_dtype())
