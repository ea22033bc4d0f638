"""The heads of the output are merged with `.view`, which needs them to lie in a certain order.

Mended with `.reshape`, which copies where it must.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def written(query: Tensor, key: Tensor, value: Tensor, **arguments: Any) -> Tensor:
    """(B, H, M, K) to (B, M, H * K) and back again."""
    out = scaled_dot_product_attention(query, key, value, **arguments).transpose(1, 2)
    return out.view(*out.shape[:2], -1).view(out.shape).transpose(1, 2)


def mended(query: Tensor, key: Tensor, value: Tensor, **arguments: Any) -> Tensor:
    """The same in any order."""
    out = scaled_dot_product_attention(query, key, value, **arguments).transpose(1, 2)
    return out.reshape(*out.shape[:2], -1).view(out.shape).transpose(1, 2)
