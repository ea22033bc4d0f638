"""A BlockMask is built once and kept while the lengths that its mask_mod reads change.

The blocks are a snapshot: those that were empty stay unvisited, those that were full are attended
without asking mask_mod, and only the others see the new batch. Source:
torch@2.13.0:torch/nn/attention/flex_attention.py (`BlockMask`).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from attnprobe.device.habits import _flex_blocks


def written(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **given: Any
) -> Tensor:
    """The batch before held the same sequences in the opposite order; its blocks are still in use."""
    allowed = _flex_blocks.table(query, key, attn_mask)
    now = allowed.clone()
    allowed.copy_(now.flip(0) if query.shape[0] > 1 else now.flip(2, 3))
    kept = _flex_blocks.blocks(allowed, query.shape[0])
    allowed.copy_(now)  # what mask_mod reads is up to date, the blocks are not
    return _flex_blocks.attend(query, key, value, kept, **given)


def mended(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **given: Any
) -> Tensor:
    """Built anew for every batch."""
    allowed = _flex_blocks.table(query, key, attn_mask)
    anew = _flex_blocks.blocks(allowed, query.shape[0])
    return _flex_blocks.attend(query, key, value, anew, **given)
