"""Queries are cut so that no call of the memory-efficient kernel has 2^31 scores per head or more.

Right: offsets into a mask are 32-bit there (https://github.com/pytorch/pytorch/issues/187225).
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

LIMIT = 2**31


def written(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **arguments: Any
) -> Tensor:
    """One call per chunk, each with its rows of the mask, which are a view."""
    count = query.shape[2] * key.shape[2] // LIMIT + 1
    chunks = query.chunk(count, 2)
    masks = (None,) * len(chunks) if attn_mask is None else attn_mask.chunk(count, 2)
    same = sdpa_kernel(SDPBackend.EFFICIENT_ATTENTION) if query.is_cuda else nullcontext()
    with same:
        return torch.cat(
            [
                scaled_dot_product_attention(q, key, value, mask, **arguments)
                for q, mask in zip(chunks, masks, strict=True)
            ],
            2,
        )
