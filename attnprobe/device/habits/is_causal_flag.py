"""`is_causal=True` is passed for every length, in place of the mask that is meant.

The flag's diagonal starts at query 0 and key 0, however many keys there are.
Source: torch@2.13.0:torch/nn/functional.py (the pseudo-code of scaled_dot_product_attention:
`torch.ones(L, S).tril(diagonal=0)`).
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
    """The flag, whatever the lengths."""
    return scaled_dot_product_attention(query, key, value, is_causal=True, **arguments)
