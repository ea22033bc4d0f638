"""ALiBi is kept as a bfloat16 tensor and converted to the model's dtype for the call.

bfloat16 holds the integers up to 256; beyond, distances share values.
Source: arXiv:2108.12409, section 3 (the bias is a slope times a distance).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def written(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **arguments: Any
) -> Tensor:
    """A buffer of a model that was bfloat16 once."""
    if attn_mask is not None and attn_mask.is_floating_point():
        attn_mask = attn_mask.to(torch.bfloat16).to(query.dtype)
    return scaled_dot_product_attention(query, key, value, attn_mask=attn_mask, **arguments)
