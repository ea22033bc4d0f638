"""The first call, which compiles, is part of the average that a benchmark reports.

Source: https://docs.pytorch.org/docs/stable/generated/torch.compile.html: code is compiled when it is
first called with new shapes.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch
from torch import Tensor

from attnprobe.device.habits import _call
from attnprobe.device.inputs import Inputs

SHARE = "share of the first of ten calls"


def written_shows(inputs: Inputs) -> dict[str, float]:
    """Ten calls from the very first on."""
    run = _compiled(inputs)
    return {SHARE: _first(run, inputs.device)}


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """The same after a warm-up; the median of five, so that one that lost its core does not count."""
    run = _compiled(inputs)
    _call.warm(run, inputs.device)
    return {SHARE: statistics.median(_first(run, inputs.device) for _ in range(_call.LOOPS))}


def _first(run: _call.Run, device: torch.device) -> float:
    """Of the time of ten calls, each waited for, what the first took."""
    taken = [_call.once(run, device) for _ in range(_call.CALLS)]
    return taken[0] / sum(taken)


def _compiled(inputs: Inputs) -> Callable[[], Tensor]:
    """The case's call, compiled for nothing yet; what the disk holds may serve, as in a second run."""
    launch = _call.prepared(inputs).launch
    torch._dynamo.reset()
    found: Callable[[], Tensor] = torch.compile(launch, dynamic=False)
    return found
