"""xFormers is called under no_grad with a tensor that still says requires_grad.

Source: xformers@0.0.35:xformers/ops/fmha/__init__.py, `_memory_efficient_attention`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from attnprobe.device.habits import _xformers
from attnprobe.device.inputs import Inputs


def written_shows(inputs: Inputs) -> dict[str, float]:
    """Whether the operator was told to prepare for a backward."""
    return _told(inputs.q.detach().requires_grad_(), inputs)


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """The same for a detached query."""
    return _told(inputs.q.detach(), inputs)


def _told(query: Tensor, inputs: Inputs) -> dict[str, float]:
    """On the CPU, on every machine: what is told is decided in Python, before an operator runs."""
    groups = inputs.case.groups
    k, v = (t.repeat_interleave(groups, 1).cpu() for t in (inputs.k, inputs.v))
    forward: Any = _xformers.stand_ins()[0]
    with torch.no_grad():
        _xformers.attend(*_xformers.rows(_on_cpu(query), k, v))
    return {"prepares for a backward": forward.needed_gradient}


def _on_cpu(query: Tensor) -> Tensor:
    return query.detach().cpu().requires_grad_(query.requires_grad)
