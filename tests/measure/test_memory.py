"""Peak memory is what was handed out at once: score matrices show, fused kernels hold none."""

import gc
import re
from pathlib import Path

import pytest
import torch

from attnprobe.core import cost
from attnprobe.device.measure import memory, passes
from tests.measure.attention import CPU, Attention, fused, small, written_out

MIB = 2**20
LARGE = {"Hq": 4, "Hkv": 4, "Mq": 1024, "Mkv": 1024, "K": 64, "Kv": 64}


def peak(function, **changes):
    case, inputs = small(**{**LARGE, **changes})
    run = passes.once(Attention(function).prepare(inputs), inputs)
    return memory.peak(run, CPU, cost.floor_bytes(case)).bytes, case


def test_forward_written_out_holds_two_score_matrices():
    """QK^T and its scaled copy, 16 MiB each, and a few scalars; inputs are not counted."""
    assert 32 * MIB <= peak(written_out, passes="fwd")[0] < 32 * MIB + 1024


def test_backward_written_out_holds_three():
    """P, dP and dS at once, and tensors of 1 MiB: out, dv."""
    found, case = peak(written_out)
    assert 3 * cost.score_bytes(case) < found < 3 * cost.score_bytes(case) + 5 * MIB


def test_a_fused_kernel_stays_near_the_floor():
    """Outputs, gradients and the kernel's own buffers, and no score matrix."""
    found, case = peak(fused)
    assert cost.floor_bytes(case) <= found < 2 * cost.floor_bytes(case)


def test_freed_memory_is_not_added_up():
    """Ten tensors after each other are one tensor at once; ten together are ten."""

    def after_each_other():
        for _ in range(10):
            torch.ones(MIB)

    together = memory.peak(lambda: [torch.ones(MIB) for _ in range(10)], CPU, 0)
    assert memory.peak(after_each_other, CPU, 0).bytes == 4 * MIB
    assert together.bytes == 40 * MIB


def test_the_operating_system_agrees():
    """Blocks that glibc always maps (over 32 MiB): resident memory grows by what was counted."""
    status, clear = Path("/proc/self/status"), Path("/proc/self/clear_refs")

    def high_water():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1024

    case, inputs = small(**{**LARGE, "Mq": 1536, "Mkv": 1536})
    run = passes.once(Attention(written_out).prepare(inputs), inputs)
    counted = memory.peak(run, CPU, cost.floor_bytes(case)).bytes
    gc.collect()  # what other tests left would be freed meanwhile, and hide as much growth
    try:
        clear.write_text("5")  # proc(5): resets the peak resident set
        before = high_water()
    except (OSError, TypeError):
        pytest.skip("this system does not let a process reset its peak resident set")
    kept = run()
    assert high_water() - before == pytest.approx(counted, rel=0.1)
    del kept


def test_a_call_that_takes_memory_elsewhere_is_not_believed():
    """Less than the outputs need: no number, and the reason."""
    found = memory.peak(lambda: torch.ones(MIB), CPU, 64 * MIB)
    assert found.bytes is None
    assert "less than the outputs need (64.0 MiB)" in found.how
