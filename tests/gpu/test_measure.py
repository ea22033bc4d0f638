"""On a CUDA device: events time the GPU, memory is the allocator's, and kernels have their names."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from attnprobe.core import cost
from attnprobe.core.sampling import Sampling
from attnprobe.core.trial import Trial
from attnprobe.device.measure import compare, measure, memory, observe, passes, unexpected
from attnprobe.device.measure.clocks import Call, CudaClock
from attnprobe.device.measure.cold import cache_bytes, flusher
from attnprobe.device.measure.roofline import rates
from attnprobe.telemetry import Attended
from attnprobe.worker.host import Worker
from tests.measure.attention import Attention, calls_of, kept_cold, small

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

CUDA = torch.device("cuda")
MIB = 2**20
ORIENTATION = {"B": 2, "Hq": 8, "Hkv": 8, "Mq": 2048, "Mkv": 2048, "K": 64, "Kv": 64}


def cuda_case(**changes):
    return small(**{"device": "cuda", "dtype": "bfloat16", **ORIENTATION, **changes})


def only(backend):
    def attention(q, k, v):
        with sdpa_kernel(backend):
            return scaled_dot_product_attention(q, k, v)

    return attention


@pytest.fixture(scope="module")
def clock():
    return CudaClock(CUDA)


def seconds(clock, call, n=20):
    clock.burst(call, n)
    return sorted(r.seconds for r in clock.burst(call, n))[n // 2]


def test_sleeps_of_known_length_lie_on_a_line_within_two_percent(clock):
    """Twice the cycles beyond a short spin take twice the time beyond it.

    The events themselves add a constant, some 3 us on an H200, which a plain ratio would count.
    """
    short, once, twice = (
        seconds(clock, Call(lambda _, c=cycles: torch.cuda._sleep(c)))
        for cycles in (200_000, 2_200_000, 4_200_000)
    )
    assert (twice - short) / (once - short) == pytest.approx(2, rel=0.02)


def test_many_small_kernels_are_timed_without_the_host(clock):
    """Twenty tiny kernels launched one by one: the queue is full, so no gap of the host counts."""
    x = torch.randn(1024, device=CUDA)

    def twenty(_):
        for _ in range(20):
            x.add_(1.0)

    call = Call(twenty)
    readings = clock.burst(call, 10) and clock.burst(call, 10)
    assert not any(r.disturbed for r in readings)
    assert sum(r.seconds for r in readings) < 0.8 * sum(r.host_s for r in readings)


def test_a_call_that_waits_for_the_device_is_marked(clock):
    """`.item()` cannot be queued ahead."""
    x = torch.randn(1024, device=CUDA)
    call = Call(lambda _: x.sum().item())
    assert all(r.disturbed for r in clock.burst(call, 5))


def test_a_flush_makes_a_small_copy_slower(clock):
    """What fits the L2 is read from it when warm and from memory when flushed."""
    source = torch.randn(cache_bytes(CUDA) // 16, device=CUDA)
    target = torch.empty_like(source)
    warm = seconds(clock, Call(lambda _: target.copy_(source)))
    cold = seconds(clock, Call(lambda _: target.copy_(source), flusher(CUDA)))
    assert cold > 1.1 * warm


def test_copies_in_turn_are_as_cold_as_a_flush(clock):
    """The two ways to a cold cache agree within a tenth."""
    _, inputs = cuda_case(passes="fwd")
    attention = Attention()
    rotated = kept_cold(attention.prepare(inputs), inputs, attention.prepare)
    flushed = kept_cold(attention.prepare(inputs), inputs, None)
    assert len(rotated.copies) > 1
    one, other = (seconds(clock, calls_of(kept, inputs)["fwd"], 40) for kept in (rotated, flushed))
    assert one == pytest.approx(other, rel=0.1)


@pytest.mark.parametrize(
    ("backend", "low", "high"),
    [(SDPBackend.MATH, 1000, 1100), (SDPBackend.FLASH_ATTENTION, 16, 40)],
)
def test_peak_memory_is_the_allocators(backend, low, high):
    """B2 H8 M2048 K64 with gradients: about 1,050 MiB for math and 32 for flash."""
    case, inputs = cuda_case()
    run = passes.once(Attention(only(backend)).prepare(inputs), inputs)
    found = memory.peak(run, CUDA, cost.floor_bytes(case))
    assert low * MIB <= found.bytes <= high * MIB


def test_kernels_are_seen_by_name():
    """Flash is believed; math asked for as flash is a fall back."""
    _, inputs = cuda_case()
    names = {
        backend: observe(Attention(only(backend)).prepare(inputs).launch, "cuda")
        for backend in (SDPBackend.FLASH_ATTENTION, SDPBackend.MATH)
    }
    assert unexpected(names[SDPBackend.FLASH_ATTENTION], r"flash_(fwd|bwd)") == ""
    said = unexpected(names[SDPBackend.MATH], r"flash_(fwd|bwd)")
    assert said.startswith("fell back to unfused math"), names


def test_rates_are_those_of_a_gpu():
    """Faster than any CPU, and measured within a second."""
    found = rates(CUDA, torch.bfloat16)
    assert found.flops > 1e13
    assert found.bytes > 1e11


def test_a_large_case_is_gpu_bound_and_below_the_limit():
    """All passes, intervals within the target, shares between 0 and 1."""
    _, inputs = cuda_case(Mq=8192, Mkv=8192, Hq=16, Hkv=16)
    attention = Attention()
    found = measure(
        attention.prepare(inputs), inputs, Sampling(budget_s=1.0), prepare=attention.prepare
    )
    assert found.withheld == ()
    for one in (found.fwd_s, found.bwd_s, found.fwd_bwd_s):
        assert not one.launch_bound
        assert one.half_width < 0.05
        assert 0.1 < one.roofline_share <= 1.05
        assert one.bound == "matmul"
    both = found.fwd_s.median + found.bwd_s.median
    assert found.fwd_bwd_s.median == pytest.approx(both, rel=0.1)


def test_a_tiny_case_is_launch_bound():
    """The host cannot keep up, and the wall time says what a loop of such calls takes."""
    _, inputs = cuda_case(B=1, Hq=1, Hkv=1, Mq=32, Mkv=32)
    attention = Attention()
    found = measure(
        attention.prepare(inputs), inputs, Sampling(budget_s=0.5), prepare=attention.prepare
    ).fwd_bwd_s
    assert found.launch_bound
    assert found.wall_s > found.median


def test_the_same_kernel_is_seldom_different_from_itself(clock):
    """Twenty A/A comparisons."""
    _, inputs = cuda_case(passes="fwd")
    attention = Attention()
    call = calls_of(kept_cold(attention.prepare(inputs), inputs, None), inputs)["fwd"]
    again = Call(call.run, call.before)
    verdicts = [
        compare({"a": call, "b": again}, "a", clock, 0.2, 0.01, seed).ratios["b"].verdict
        for seed in range(20)
    ]
    assert verdicts.count("indistinguishable") >= 16


def test_a_slow_down_of_three_percent_is_found(clock):
    """Injected as a spin of 3% of the kernel's own time behind it."""
    _, inputs = cuda_case(Mq=4096, Mkv=4096, passes="fwd")
    attention = Attention()
    call = calls_of(kept_cold(attention.prepare(inputs), inputs, None), inputs)["fwd"]
    cycles = int(0.03 * seconds(clock, call) * clock._cycles_per_s)

    def slower(prepared):
        out = call.run(prepared)
        torch.cuda._sleep(cycles)
        return out

    calls = {"plain": call, "slower": Call(slower, call.before)}
    verdicts = [
        compare(calls, "plain", clock, 0.3, 0.01, seed).ratios["slower"].verdict
        for seed in range(10)
    ]
    assert verdicts.count("slower") >= 9


BUSY = """
import os, pathlib, sys, time, torch
a = torch.randn(4096, 4096, device="cuda")
torch.mm(a, a); torch.cuda.synchronize()
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
until = time.monotonic() + 60
while time.monotonic() < until:
    torch.mm(a, a); torch.cuda.synchronize()
"""


@pytest.fixture
def neighbour(tmp_path):
    """A process that is not ours (its parent has gone) and computes on the same GPU."""
    told = tmp_path / "pid"
    script = tmp_path / "busy.py"
    script.write_text(BUSY)
    subprocess.run(["sh", "-c", f"{sys.executable} {script} {told} &"], check=True)
    until = time.monotonic() + 60
    while not (told.exists() and told.read_text()):
        assert time.monotonic() < until
        time.sleep(0.1)
    time.sleep(1.5)  # the driver counts activity over periods of up to a second
    yield
    os.kill(int(told.read_text()), signal.SIGKILL)


def timed(case):
    with Worker() as worker:
        return Attended(worker).trial(Trial(case, "sdpa-flash", "time"), 60.0)


def test_a_timed_trial_has_the_conditions_of_this_gpu():
    """Clocks, power and temperature in their units; nobody else on it; about a second in all."""
    case, _ = cuda_case()
    record = timed(case)
    gpu = record.outcome.timing.conditions.gpu
    assert 300 <= gpu.sm_clock_mhz.median <= gpu.sm_clock_max_mhz
    assert 20 <= gpu.power_w.median <= 1.1 * gpu.power_limit_w
    assert 10 <= gpu.temperature_c.median <= 100
    assert gpu.neighbours == ()
    assert record.outcome.timing.withheld == ()
    assert record.phases["time"] <= 1.0, record.phases


def test_a_busy_neighbour_withholds_the_times_and_is_named(neighbour):
    """NVML, /proc and the judgement together."""
    case, _ = cuda_case()
    found = timed(case).outcome.timing
    assert found.fwd_s is None
    assert "the GPU was shared with python" in found.withheld[0], (found.withheld, found.conditions)
