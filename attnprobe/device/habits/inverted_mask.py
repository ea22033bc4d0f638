"""A boolean mask with True = ignore, as nn.MultiheadAttention wants it, is passed to SDPA.

For SDPA and FlexAttention True means attend.
Source: torch@2.13.0:torch/nn/functional.py (scaled_dot_product_attention, note on `attn_mask`).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def written(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **arguments: Any
) -> Tensor:
    """What was to be ignored is attended, and the other way round."""
    forbidden = None if attn_mask is None else ~attn_mask
    return scaled_dot_product_attention(query, key, value, attn_mask=forbidden, **arguments)
