"""A KV cache made with `torch.empty` is passed whole, its unused slots masked out.

What lies in unused slots may be NaN: here it is.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

UNUSED = 32
"""Slots behind those in use."""


def written(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **arguments: Any
) -> Tensor:
    """All slots; a boolean mask forbids the unused ones."""
    k, v = (pad(t, (0, 0, 0, UNUSED), value=torch.nan) for t in (key, value))
    if attn_mask is None:
        attn_mask = query.new_ones((query.size(-2), key.size(-2)), dtype=torch.bool)
        if arguments.pop("is_causal", False):
            attn_mask = attn_mask.tril()
    forbidden = False if attn_mask.dtype == torch.bool else -torch.inf
    mask = pad(attn_mask, (0, UNUSED), value=forbidden)
    return scaled_dot_product_attention(query, k, v, attn_mask=mask, **arguments)
