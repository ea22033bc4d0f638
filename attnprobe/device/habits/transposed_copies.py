"""q, k and v are copied into another order of heads and tokens before the call.

`.contiguous()` behind a transpose, or `rearrange` to the order that the library is believed to want. The
copies keep shape and values.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def written(query: Tensor, key: Tensor, value: Tensor, **arguments: Any) -> Tensor:
    """Whichever order the tensors have, they get the other."""
    q, k, v = (_other_order(x) for x in (query, key, value))
    return scaled_dot_product_attention(q, k, v, **arguments)


def _other_order(x: Tensor) -> Tensor:
    if x.is_contiguous():
        return x.transpose(1, 2).contiguous().transpose(1, 2)
    return x.contiguous()
