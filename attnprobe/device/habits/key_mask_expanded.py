"""A padding mask is copied to (B, H, Mq, Mkv) instead of broadcast from (B, 1, 1, Mkv).

Source: torch@2.13.0:torch/nn/functional.py (`attn_mask` broadcasts to the shape of the scores).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def written(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **arguments: Any
) -> Tensor:
    """All heads and queries get a copy of their own."""
    if attn_mask is not None:
        full = (*query.shape[:3], key.shape[2])
        attn_mask = attn_mask.expand(full).clone(memory_format=torch.contiguous_format)
    return scaled_dot_product_attention(query, key, value, attn_mask, **arguments)


def mended(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **arguments: Any
) -> Tensor:
    """What the first query may attend, all of its sequence may: padded queries get numbers too."""
    if attn_mask is not None:
        attn_mask = attn_mask[:, :1, :1]
    return scaled_dot_product_attention(query, key, value, attn_mask, **arguments)
