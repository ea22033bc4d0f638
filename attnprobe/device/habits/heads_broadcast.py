"""One key head is left to broadcast over the query heads, without `enable_gqa`.

Source: https://github.com/pytorch/pytorch/pull/191085.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def written(
    query: Tensor, key: Tensor, value: Tensor, enable_gqa: bool = False, **arguments: Any
) -> Tensor:
    """K and v (B, 1, M, K) as they are."""
    return scaled_dot_product_attention(query, key, value, **arguments)


def mended(
    query: Tensor, key: Tensor, value: Tensor, enable_gqa: bool = False, **arguments: Any
) -> Tensor:
    """K and v expanded to all heads: views of stride 0."""
    k, v = (t.expand(-1, query.shape[1], -1, -1) for t in (key, value))
    return scaled_dot_product_attention(query, k, v, **arguments)
