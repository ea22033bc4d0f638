"""Heads are folded into the batch: SDPA is called on (B * H, M, K) instead of (B, H, M, K).

Source: torch@2.13.0:aten/src/ATen/native/transformers/sdp_utils_cpp.h (`check_tensor_shapes`).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def written(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **arguments: Any
) -> Tensor:
    """Three dimensions in; a mask of one batch and head broadcasts over all rows, others are folded."""
    B, H = query.shape[:2]
    q, k, v = (t.flatten(0, 1) for t in (query, key, value))
    if attn_mask is not None:
        rows, single = attn_mask.shape[2:], attn_mask.shape[:2] == (1, 1)
        attn_mask = attn_mask[0, 0] if single else attn_mask.expand(B, H, *rows).flatten(0, 1)
    out = scaled_dot_product_attention(q, k, v, attn_mask, **arguments)
    return out.reshape(B, H, *out.shape[1:])
