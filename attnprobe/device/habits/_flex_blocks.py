"""FlexAttention on a mask that is a table of booleans, with whatever BlockMask people made for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention


def table(query: Tensor, key: Tensor, attn_mask: Tensor | None) -> Tensor:
    """Which pairs attend, (B, H or 1, Mq, Mkv), in memory of its own.

    Raises:
        NotImplementedError: The mask adds numbers: that is no `mask_mod`.
    """
    if attn_mask is None:
        return query.new_ones(query.shape[0], 1, query.shape[2], key.shape[2], dtype=torch.bool)
    if attn_mask.dtype != torch.bool:
        raise NotImplementedError("a float mask is no mask_mod")
    heads = attn_mask.shape[1] if attn_mask.dim() == 4 else 1
    return attn_mask.expand(query.shape[0], heads, query.shape[2], key.shape[2]).clone()


def blocks(allowed: Tensor, B: int | None) -> BlockMask:
    """The BlockMask of a table; its `mask_mod` reads the table whenever it is called.

    Args:
        allowed: See `table`.
        B: As `create_block_mask` takes it.
    """
    heads, Mq, Mkv = allowed.shape[1:]

    def mask_mod(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return allowed[b, h % heads, i, j]

    H = heads if heads > 1 else None
    return create_block_mask(mask_mod, B, H, Mq, Mkv, device=str(allowed.device))


def attend(query: Tensor, key: Tensor, value: Tensor, mask: BlockMask, **given: Any) -> Tensor:
    """Compiled: uncompiled FlexAttention asks `mask_mod` of every pair, and blocks do not matter."""
    known = {name: given[name] for name in ("scale", "enable_gqa") if name in given}
    out: Tensor = _compiled()(query, key, value, block_mask=mask, **known)
    return out


@cache
def _compiled() -> Callable[..., Any]:
    return torch.compile(flex_attention, fullgraph=True, dynamic=False)
