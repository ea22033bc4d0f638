"""Every call is timed by itself, with two CUDA events around it on an empty queue.

The GPU waits between the events for what the host has not launched yet.
Source: https://github.com/pytorch/pytorch/issues/141129
"""

from __future__ import annotations

import statistics

import torch

from attnprobe.device.habits import _call
from attnprobe.device.inputs import Inputs

OVER = "reported over kernel time"
REPEATS = 50


def written_shows(inputs: Inputs) -> dict[str, float]:
    """The median of single calls, each waited for before the next."""
    run = _call.prepared(inputs).launch
    with torch.no_grad():
        _call.warm(run, inputs.device)
        reported = statistics.median(_between_events(run) for _ in range(REPEATS))
        return {OVER: reported / _by_graph(inputs)}


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """One CUDA graph of many calls, divided."""
    with torch.no_grad():
        return {OVER: _by_graph(inputs) / _by_graph(inputs)}


def _by_graph(inputs: Inputs) -> float:
    """Seconds per call of a graph of fifty: the host launches once."""
    run = _call.prepared(inputs).launch
    graph = torch.cuda.CUDAGraph()
    _call.warm(run, inputs.device)
    with torch.cuda.graph(graph):
        for _ in range(REPEATS):
            run()
    _call.warm(graph.replay, inputs.device)
    seconds = [_between_events(graph.replay) for _ in range(_call.LOOPS)]
    return statistics.median(seconds) / REPEATS


def _between_events(run: _call.Run) -> float:
    start, end = (
        torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call] # torch's stub
        for _ in range(2)
    )
    torch.cuda.synchronize()
    start.record()
    run()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) * 1e-3
