"""`torch.set_float32_matmul_precision("high")` is set: float32 products are rounded to TF32.

Source: torch@2.13.0:torch/__init__.py (`set_float32_matmul_precision`).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering import sdpa
from attnprobe.device.lowering.base import Refusal


def written_shows(inputs: Inputs) -> dict[str, float]:
    """Largest error with TF32, relative to the largest output."""
    return {"error": _error(inputs, "high")}


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """The same without."""
    return {"error": _error(inputs, "highest")}


def _error(inputs: Inputs, precision: str) -> float:
    lowered = sdpa.lower(inputs)
    if isinstance(lowered, Refusal):
        raise NotImplementedError("; ".join(lowered.reasons))
    arguments, precise = dict(lowered.arguments), dict(lowered.arguments)
    mask = arguments.get("attn_mask")
    if isinstance(mask, Tensor) and mask.is_floating_point():
        precise["attn_mask"] = mask.double()
    q, k, v = inputs.q, inputs.k, inputs.v
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            out = scaled_dot_product_attention(q, k, v, **arguments)
            truth = scaled_dot_product_attention(q.double(), k.double(), v.double(), **precise)
    finally:
        torch.set_float32_matmul_precision(before)
    return float((out - truth).abs().max() / truth.abs().max())
