"""Tensors of (B, M, H, K) are passed to SDPA, which takes (B, H, M, K).

Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html
(the last two dimensions are tokens and channels).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def written(query: Tensor, key: Tensor, value: Tensor, **arguments: Any) -> Tensor:
    """Heads attend heads, token by token."""
    q, k, v = (t.transpose(1, 2) for t in (query, key, value))
    arguments.pop("enable_gqa", None)  # in this layout SDPA finds as many heads (tokens) everywhere
    return scaled_dot_product_attention(q, k, v, **arguments).transpose(1, 2)
