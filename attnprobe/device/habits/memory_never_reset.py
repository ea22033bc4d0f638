"""Peak memory of one kernel is read off counters that another one has driven up.

Reserved memory is the allocator's cache, and peaks count from the start of the process.
Source: https://docs.pytorch.org/docs/stable/generated/torch.cuda.max_memory_reserved.html
"""

from __future__ import annotations

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from attnprobe.device.habits import _call
from attnprobe.device.inputs import Inputs
from attnprobe.device.measure import memory

OVER = "reported over true peak"


def written_shows(inputs: Inputs) -> dict[str, float]:
    """The math kernel first, then the one that is looked at, then `max_memory_allocated`."""
    before = torch.cuda.memory_allocated(inputs.device)
    torch.cuda.reset_peak_memory_stats(inputs.device)  # as in a new process
    with sdpa_kernel([SDPBackend.MATH]):
        _call.prepared(inputs).launch()
    _call.prepared(inputs).launch()
    _call.wait(inputs.device)
    reported = torch.cuda.max_memory_allocated(inputs.device) - before
    return {OVER: reported / _true(inputs)}


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """The counters reset in between, what was there before taken away."""
    with sdpa_kernel([SDPBackend.MATH]):
        _call.prepared(inputs).launch()
    _call.wait(inputs.device)
    before = torch.cuda.memory_allocated(inputs.device)
    torch.cuda.reset_peak_memory_stats(inputs.device)
    kept = _call.prepared(inputs).launch()
    _call.wait(inputs.device)
    reported = torch.cuda.max_memory_allocated(inputs.device) - before
    del kept
    return {OVER: reported / _true(inputs)}


def _true(inputs: Inputs) -> int:
    found = memory.peak(_call.prepared(inputs).launch, inputs.device, 0)
    if not found.bytes:
        raise RuntimeError(found.how)
    return found.bytes
