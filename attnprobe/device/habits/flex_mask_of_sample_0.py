"""create_block_mask is called with B=None although mask_mod depends on the sample.

The blocks of sample 0 serve all samples: those it leaves out are never visited, and those it fills are
attended without asking mask_mod. Source: torch@2.13.0:torch/nn/attention/flex_attention.py
(`create_block_mask`, `BlockMask`).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from attnprobe.device.habits import _flex_blocks


def written(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **given: Any
) -> Tensor:
    """One list of blocks for the whole batch."""
    allowed = _flex_blocks.table(query, key, attn_mask)
    return _flex_blocks.attend(query, key, value, _flex_blocks.blocks(allowed, None), **given)


def mended(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **given: Any
) -> Tensor:
    """A list of blocks for each sample."""
    allowed = _flex_blocks.table(query, key, attn_mask)
    own = _flex_blocks.blocks(allowed, query.shape[0])
    return _flex_blocks.attend(query, key, value, own, **given)
