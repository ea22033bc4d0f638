"""K and V are copied to the number of query heads with `repeat_interleave` before the call.

Right, and the only way with kernels that know no grouped heads; elsewhere it copies for nothing.
Source: torch@2.13.0:torch/nn/functional.py (the pseudo-code of scaled_dot_product_attention).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def written(
    query: Tensor, key: Tensor, value: Tensor, enable_gqa: bool = False, **arguments: Any
) -> Tensor:
    """Key head n becomes heads n * G up to (n + 1) * G."""
    groups = query.shape[1] // key.shape[1]
    k, v = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    return scaled_dot_product_attention(query, k, v, **arguments)
