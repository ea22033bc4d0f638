"""A mask of 1 (keep) and 0 (ignore) is passed as floating-point numbers.

SDPA adds a floating-point mask to the logits.
Source: torch@2.13.0:torch/nn/functional.py (scaled_dot_product_attention, note on `attn_mask`).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def written(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **arguments: Any
) -> Tensor:
    """Logits are raised by 1 where a key is to be kept."""
    numbers = None if attn_mask is None else attn_mask.to(query.dtype)
    return scaled_dot_product_attention(query, key, value, attn_mask=numbers, **arguments)
