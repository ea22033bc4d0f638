"""Queries are multiplied by the softmax scale, and SDPA multiplies by its own once more.

Source: torch@2.13.0:torch/nn/functional.py (`scale_factor = 1 / math.sqrt(query.size(-1))`).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def written(
    query: Tensor, key: Tensor, value: Tensor, scale: float | None = None, **arguments: Any
) -> Tensor:
    """The logits are divided by sqrt(K) twice."""
    own = query.size(-1) ** -0.5 if scale is None else scale
    return scaled_dot_product_attention(query * own, key, value, **arguments)
