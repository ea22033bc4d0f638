"""The clocks time the call and nothing else; the CUDA clock is tested on a simulated GPU."""

import gc
import time
from collections import deque

import pytest
import torch

from attnprobe.device.measure import clocks, timing
from attnprobe.device.measure.clocks import Call, CpuClock, CudaClock
from attnprobe.device.measure.sampling import collect


class FakeGpu:
    """Host and GPU as two timelines: the GPU starts what was launched when it is free.

    Some 1,024 launches can wait; the host that makes one more waits itself, as CUDA has it.
    """

    CYCLES_PER_S = 2e9
    DEPTH = 1024

    def __init__(self, monkeypatch):
        self.host = self.free = 0.0
        self.waiting = deque()
        monkeypatch.setattr(clocks, "_sleep", lambda c: self.launch(c / self.CYCLES_PER_S, 1e-6))
        monkeypatch.setattr(CudaClock, "_event", lambda _: FakeEvent(self))
        monkeypatch.setattr(torch.cuda, "synchronize", lambda device: self.wait())
        monkeypatch.setattr(time, "perf_counter", lambda: self.host)

    def launch(self, gpu_s, host_s):
        """One kernel."""
        self.host += host_s
        while self.waiting and self.waiting[0] <= self.host:
            self.waiting.popleft()
        if len(self.waiting) >= self.DEPTH:
            self.host = self.waiting.popleft()
        self.free = max(self.free, self.host) + gpu_s
        self.waiting.append(self.free)

    def wait(self):
        self.host = max(self.host, self.free)


class FakeEvent:
    """A moment on the GPU's timeline."""

    def __init__(self, gpu):
        self.gpu, self.at = gpu, 0.0

    def record(self):
        self.at = max(self.gpu.free, self.gpu.host)

    def synchronize(self):
        self.gpu.wait()

    def elapsed_time(self, other):
        return (other.at - self.at) * 1e3


@pytest.fixture
def gpu(monkeypatch):
    return FakeGpu(monkeypatch)


def four_small_kernels(gpu):
    """10 us of GPU work that take the host 40 us to launch."""
    return Call(lambda _: [gpu.launch(2.5e-6, 10e-6) for _ in range(4)])


def test_events_behind_a_full_queue_time_the_gpu_and_not_the_host(gpu):
    """A launch-bound call of 10 us reads 10 us, though the host needs 40 us for it."""
    readings = CudaClock(torch.device("cuda")).burst(four_small_kernels(gpu), 10)
    assert [r.seconds for r in readings] == pytest.approx([10e-6] * 10)
    assert [r.host_s for r in readings] == pytest.approx([40e-6] * 10)
    assert not any(r.disturbed for r in readings)


def test_an_empty_queue_would_have_timed_the_host(gpu, monkeypatch):
    """Without the sleep the same burst reads the host's 40 us: what the queue is filled for."""
    monkeypatch.setattr(clocks, "_sleep", lambda cycles: None)
    clock = CudaClock.__new__(CudaClock)
    clock._device, clock._launching, clock._waiting = torch.device("cuda"), {}, set()
    clock._cycles_per_s = gpu.CYCLES_PER_S
    readings = clock.burst(four_small_kernels(gpu), 10)
    assert max(r.seconds for r in readings) > 30e-6


def test_a_call_that_waits_for_the_device_is_marked_and_never_hangs(gpu):
    """It cannot be queued ahead: its readings say so, and later bursts no longer sleep for it."""
    clock = CudaClock(torch.device("cuda"))

    def waits(_):
        gpu.launch(1e-4, 1e-5)
        gpu.wait()

    call = Call(waits)
    assert all(r.disturbed for r in clock.burst(call, 5))
    begin = gpu.host
    assert all(r.disturbed for r in clock.burst(call, 5))
    assert gpu.host - begin < 5 * 1.2e-4


def many_kernels(gpu, count):
    """A layer: each kernel takes the GPU 2 us and the host 5."""
    return Call(lambda _: [gpu.launch(2e-6, 5e-6) for _ in range(count)])


def sampled(call, budget_s=0.45):
    clock = CudaClock(torch.device("cuda"))
    taken = collect({"it": call}, clock, budget_s, 0.02, lambda series: series["it"].half_width)
    return clock, taken["it"]


@pytest.mark.parametrize(("kernels", "gpu_s"), [(4, 8e-6), (40, 80e-6), (300, 600e-6)])
def test_sampling_a_launch_bound_call_times_the_gpu_within_the_budget(gpu, kernels, gpu_s):
    """Whatever the call consists of; the sleeps are part of the budget."""
    began = gpu.host
    _, series = sampled(many_kernels(gpu, kernels))
    assert gpu.host - began <= 0.46
    assert len(series.rounds) >= 20
    found = series.duration()
    assert found.median == pytest.approx(gpu_s, rel=1e-3)
    assert series.host_s == pytest.approx(5e-6 * kernels, rel=1e-3)
    assert series.disturbed < timing.DISTURBED


def test_what_exceeds_the_queue_is_timed_as_it_runs_and_marked(gpu):
    """3,000 kernels cannot be queued ahead: the host sets the pace, and the reading says so."""
    clock, series = sampled(many_kernels(gpu, 3000))
    assert series.disturbed > timing.DISTURBED
    assert series.duration().median == pytest.approx(15e-3, rel=0.1)
    assert series.host_s > timing.LAUNCH_BOUND * series.duration().median
    assert clock.wall(many_kernels(gpu, 3000), 4) == pytest.approx(15e-3, rel=0.1)


def test_what_precedes_a_call_is_not_in_its_time(gpu):
    """The flush and the forward before a backward run on the GPU outside the events."""
    call = Call(lambda _: gpu.launch(1e-4, 1e-6), lambda: gpu.launch(5e-3, 1e-6))
    readings = CudaClock(torch.device("cuda")).burst(call, 4)
    assert [r.seconds for r in readings] == pytest.approx([1e-4] * 4)


def test_wall_time_is_what_the_host_waits(gpu):
    """Back to back, the launch-bound call takes what launching takes."""
    wall = CudaClock(torch.device("cuda")).wall(four_small_kernels(gpu), 10)
    assert wall == pytest.approx(40e-6, rel=0.1)


def test_the_cpu_clock_leaves_out_what_precedes_a_call():
    """A slow `before` is no part of a fast call."""
    call = Call(lambda _: time.sleep(0.001), lambda: time.sleep(0.05))
    readings = CpuClock().burst(call, 3)
    assert 0.001 <= min(r.seconds for r in readings) < 0.05


def test_the_cycle_collector_rests_during_a_burst_and_is_put_back():
    """Whatever happens in the burst."""
    seen = []
    CpuClock().burst(Call(lambda _: seen.append(gc.isenabled())), 1)
    assert seen == [False]
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        CpuClock().burst(Call(lambda _: 1 / 0), 1)
    assert gc.isenabled()
