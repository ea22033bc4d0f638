"""What is masked gets the least finite number of the dtype, not -inf.

In a row in which every key is masked all logits are then equal, and every key weighs the same.
"""

from __future__ import annotations

from typing import Any

import torch
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
    """A float mask in the queries' dtype."""
    if is_causal:
        shape = (query.size(-2), key.size(-2))
        attn_mask = torch.ones(shape, dtype=torch.bool, device=query.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        least = torch.finfo(query.dtype).min
        attn_mask = query.new_zeros(attn_mask.shape).masked_fill(~attn_mask, least)
    return scaled_dot_product_attention(query, key, value, attn_mask=attn_mask, **arguments)
