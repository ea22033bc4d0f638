"""flex_attention's `mask_mod` looks every pair up in a captured table of (Mq, Mkv).

Source: https://github.com/NVIDIA-NeMo/Automodel/issues/3802.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

Reads = Callable[[Tensor, Tensor], Tensor]


def written(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Indexed by both, as inductor likes: in 32 bits."""
    table = attn_mask[0, 0]
    return _attend(lambda q, k: table[q, k], query, key, value, scale, enable_gqa)


def mended(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """One offset of 64 bits."""
    flat, keys = attn_mask[0, 0].flatten(), key.shape[2]
    return _attend(
        lambda q, k: flat[q.to(torch.int64) * keys + k], query, key, value, scale, enable_gqa
    )


def _attend(
    reads: Reads, query: Tensor, key: Tensor, value: Tensor, scale: float | None, gqa: bool
) -> Tensor:
    torch._dynamo.reset()
    lengths, device = (query.shape[2], key.shape[2]), str(query.device)
    blocks = torch.compile(create_block_mask)(
        lambda b, h, q, k: reads(q, k), None, None, *lengths, device=device
    )
    call = torch.compile(flex_attention, dynamic=False)
    out: Tensor = call(query, key, value, block_mask=blocks, scale=scale, enable_gqa=gqa)
    return out
