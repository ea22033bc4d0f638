"""The limit is measured, and the slower of its two roads sets the least time."""

import pytest
import torch

from attnprobe.core.timing import Rates
from attnprobe.device.measure import roofline
from tests.measure.attention import CPU

LIMITS = Rates(flops=1e12, bytes=1e11)


@pytest.mark.parametrize(
    ("flops", "moved", "least"),
    [(1e12, 1e9, (1.0, "matmul")), (1e9, 1e11, (1.0, "memory")), (0, 0, (0.0, "matmul"))],
)
def test_the_slower_road_sets_the_least_time(flops, moved, least):
    """Operations over the matmul rate or bytes over the copy rate, whichever is longer."""
    assert roofline.least_s(flops, moved, LIMITS) == least


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rates_are_those_of_a_machine(dtype):
    """Between a slow core and a large server; the text says how they were measured."""
    found = roofline.rates(CPU, dtype)
    assert 1e7 < found.flops < 1e14
    assert 1e8 < found.bytes < 1e13
    assert "matmul" in found.text
    assert "copy" in found.text


def test_rates_are_measured_once_per_process():
    """The second question costs nothing and has the same answer."""
    assert roofline.rates(CPU, torch.float32) is roofline.rates(CPU, torch.float32)
