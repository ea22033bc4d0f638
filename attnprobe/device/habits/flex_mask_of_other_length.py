"""A BlockMask made for one length is used for calls of another.

Source: torch@2.13.0:torch/nn/attention/flex_attention.py (checks of `block_mask.shape`).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

LONGEST = 128
"""How much longer than the call the mask is: one block."""


def written(
    query: Tensor, key: Tensor, value: Tensor, is_causal: bool = False, **arguments: Any
) -> Tensor:
    """The mask was made once, for the longest sequence."""
    blocks = _causal(query, key, LONGEST)
    out: Tensor = flex_attention(query, key, value, block_mask=blocks, **arguments)
    return out


def mended(
    query: Tensor, key: Tensor, value: Tensor, is_causal: bool = False, **arguments: Any
) -> Tensor:
    """The mask is made for this length."""
    out: Tensor = flex_attention(query, key, value, block_mask=_causal(query, key, 0), **arguments)
    return out


def _causal(query: Tensor, key: Tensor, more: int) -> BlockMask:
    """A causal mask for so many more queries and keys than there are."""
    Mq, Mkv = query.shape[2] + more, key.shape[2] + more
    return create_block_mask(lambda b, h, i, j: i >= j, None, None, Mq, Mkv, str(query.device))
