"""A mask of float32's least number is cast to 16 bits, where it is -inf.

Source: IEEE 754: what lies beyond the largest number by half a step rounds to infinity.
"""

from __future__ import annotations

import torch

from attnprobe.device.habits import softmax_by_hand
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering import dense


def written_shows(inputs: Inputs) -> dict[str, float]:
    """The mask made in float32 and cast."""
    return _lost(inputs, torch.finfo(torch.float32).min)


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """The mask made with the least number of the dtype that it ends in."""
    return _lost(inputs, torch.finfo(inputs.dtype).min)


def _lost(inputs: Inputs, least: float) -> dict[str, float]:
    """`lost`: share of rows of one head that are NaN when the softmax is written out."""
    allowed = dense.allowed(inputs.case)
    mask = torch.zeros(allowed.shape, device=inputs.device).masked_fill(~allowed, least)
    q, k, v = (t[:, :1].detach() for t in (inputs.q, inputs.k, inputs.v))
    out = softmax_by_hand.written(q, k, v, mask.to(inputs.dtype))
    return {"lost": float(out.isnan().any(-1).double().mean())}
