"""K and V are tiled to the number of query heads with `.repeat`, not `repeat_interleave`.

Query head h uses key head h // (Hq / Hkv); tiling gives it h % Hkv.
Source: torch@2.13.0:torch/nn/functional.py (the pseudo-code of scaled_dot_product_attention).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def written(
    query: Tensor, key: Tensor, value: Tensor, enable_gqa: bool = False, **arguments: Any
) -> Tensor:
    """Each block of Hkv query heads sees all key heads in turn."""
    groups = query.size(1) // key.size(1)
    k, v = key.repeat(1, groups, 1, 1), value.repeat(1, groups, 1, 1)
    return scaled_dot_product_attention(query, k, v, **arguments)
