"""The cache grows by `torch.cat`: every step copies all of it to add one token.

The last key and value count as the new ones. Mended, they alone are copied, as into a cache that has
room.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def written(query: Tensor, key: Tensor, value: Tensor, **arguments: Any) -> Tensor:
    """Past and present become new tensors."""
    k, v = (torch.cat([x[:, :, :-1], x[:, :, -1:]], dim=2) for x in (key, value))
    return scaled_dot_product_attention(query, k, v, **arguments)


def mended(query: Tensor, key: Tensor, value: Tensor, **arguments: Any) -> Tensor:
    """One token is written elsewhere; the inputs, which play the cache, must stay as they are."""
    for x in (key, value):
        x[:, :, -1:].clone()
    return scaled_dot_product_attention(query, key, value, **arguments)
