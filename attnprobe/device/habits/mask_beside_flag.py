"""A mask is passed together with `is_causal=True`.

Source: torch@2.13.0:torch/nn/functional.py ("an error is thrown if both attn_mask and is_causal are
set"), which not every kernel does.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def written(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    **arguments: Any,
) -> Tensor:
    """Both at once."""
    return scaled_dot_product_attention(query, key, value, attn_mask, is_causal=True, **arguments)
