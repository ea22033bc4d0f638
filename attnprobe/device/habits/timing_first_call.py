"""The first call, which compiles, is part of the average that a benchmark reports.

Source: https://docs.pytorch.org/docs/stable/generated/torch.compile.html: code is compiled when it is
first called with new shapes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attnprobe.device.habits import _call
from attnprobe.device.inputs import Inputs

OVER = "reported over warm time"


def written_shows(inputs: Inputs) -> dict[str, float]:
    """The mean of ten calls, the first of them included."""
    run = _compiled(inputs)
    reported = _call.loop(run, inputs.device)
    return {OVER: reported / _call.seconds(run, inputs.device)}


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """The same loop after a warm-up."""
    run = _compiled(inputs)
    reported = _call.seconds(run, inputs.device)
    return {OVER: reported / _call.seconds(run, inputs.device)}


def _compiled(inputs: Inputs) -> Callable[[], Tensor]:
    """The case's call, compiled for nothing yet; what the disk holds may serve, as in a second run."""
    launch = _call.prepared(inputs).launch
    torch._dynamo.reset()
    found: Callable[[], Tensor] = torch.compile(launch, dynamic=False)
    return found
