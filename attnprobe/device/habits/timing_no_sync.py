"""GPU work is timed with the host's clock and nobody waits for the GPU.

Launches return before the kernel ends; what is read is the time to launch.
Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#asynchronous-execution
"""

from __future__ import annotations

import time

import torch

from attnprobe.device.habits import _call
from attnprobe.device.inputs import Inputs

SHARE = "reported share of the time"


def written_shows(inputs: Inputs) -> dict[str, float]:
    """`perf_counter` around a loop, warm, without a wait."""
    run = _call.prepared(inputs).launch
    _call.warm(run, inputs.device)
    start = time.perf_counter()
    for _ in range(_call.CALLS):
        run()
    reported = (time.perf_counter() - start) / _call.CALLS
    _call.wait(inputs.device)
    return {SHARE: reported / _call.seconds(run, inputs.device)}


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """CUDA events around the same loop."""
    run = _call.prepared(inputs).launch
    _call.warm(run, inputs.device)
    start, end = (
        torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call] # torch's stub
        for _ in range(2)
    )
    start.record()
    for _ in range(_call.CALLS):
        run()
    end.record()
    end.synchronize()
    reported = start.elapsed_time(end) * 1e-3 / _call.CALLS
    return {SHARE: reported / _call.seconds(run, inputs.device)}
