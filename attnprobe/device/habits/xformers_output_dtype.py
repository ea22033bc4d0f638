"""xFormers is asked for an output in float32 (`output_dtype`) in training.

Source: xformers@0.0.35:xformers/ops/fmha/__init__.py, `_memory_efficient_attention`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attnprobe.device.habits import _xformers
from attnprobe.device.inputs import Inputs


def written_shows(inputs: Inputs) -> dict[str, float]:
    """Bits of an element of the output."""
    out = _xformers.attend(*_leaves(inputs), output_dtype=torch.float32)
    return {"bits": 8 * out.element_size()}


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """The same, cast after the call."""
    return {"bits": 8 * _xformers.attend(*_leaves(inputs)).float().element_size()}


def _leaves(inputs: Inputs) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = (t.detach().requires_grad_() for t in (inputs.q, inputs.k, inputs.v))
    groups = inputs.case.groups
    return _xformers.rows(q, k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1))
