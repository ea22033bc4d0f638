"""One `causal_lower_right(L, L)` is made for the longest sequence and used for every call.

The object compares its own two lengths, never those of the tensors that it is used with.
Source: torch@2.13.0:torch/nn/attention/bias.py, `CausalBias._dispatch`.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.attention.bias import causal_lower_right
from torch.nn.functional import scaled_dot_product_attention


def written(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **arguments: Any
) -> Tensor:
    """The mask of Mkv queries, whatever number there is."""
    longest = key.size(-2)
    return _call(query, key, value, longest, longest, **arguments)


def mended(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **arguments: Any
) -> Tensor:
    """The mask of the lengths that there are."""
    return _call(query, key, value, query.size(-2), key.size(-2), **arguments)


def _call(q: Tensor, k: Tensor, v: Tensor, Mq: int, Mkv: int, **arguments: Any) -> Tensor:
    arguments.pop("is_causal", None)  # the same mask, said by the object
    mask = causal_lower_right(Mq, Mkv)
    return scaled_dot_product_attention(q, k, v, attn_mask=mask, **arguments)
