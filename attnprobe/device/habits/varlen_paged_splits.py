"""`varlen_attn` decodes from pages of keys with `num_splits` above 1.

Source: https://github.com/pytorch/pytorch/issues/194167.
"""

from __future__ import annotations

import inspect

import torch
from torch import Tensor

PAGE = 256
"""Tokens of a page, or a multiple: FlashAttention-2's (flash_api.cpp, page_block_size)."""


def written(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Two splits."""
    return _decode(query, key, value, scale, enable_gqa, 2)


def mended(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """One."""
    return _decode(query, key, value, scale, enable_gqa, 1)


def _decode(
    query: Tensor, key: Tensor, value: Tensor, scale: float | None, gqa: bool, splits: int
) -> Tensor:
    """Full caches of (B, H, Mkv, K) as pages in order, Mkv a multiple of `PAGE`.

    Raises:
        NotImplementedError: This torch has no pages, or Mkv is no whole number of them.
    """
    from torch.nn.attention.varlen import varlen_attn

    if "block_table" not in inspect.signature(varlen_attn).parameters:
        raise NotImplementedError(f"varlen_attn of torch {torch.__version__} has no block_table")
    B, Mq, Mkv, device = query.shape[0], query.shape[2], key.shape[2], query.device
    if Mkv % PAGE:
        raise NotImplementedError(f"Mkv={Mkv} is no whole number of pages of {PAGE}")
    k, v = (
        t.transpose(1, 2).reshape(-1, PAGE, t.shape[1], t.shape[3]).contiguous()
        for t in (key, value)
    )
    table = torch.arange(B * Mkv // PAGE, dtype=torch.int32, device=device).view(B, -1)
    starts = torch.arange(B + 1, dtype=torch.int32, device=device) * Mq
    used = torch.full((B,), Mkv, dtype=torch.int32, device=device)
    out = varlen_attn(
        query.transpose(1, 2).flatten(0, 1).contiguous(),
        k,
        v,
        starts,
        None,
        Mq,
        Mkv,
        scale=scale,
        enable_gqa=gqa,
        seqused_k=used,
        block_table=table,
        num_splits=splits,
    )
    assert isinstance(out, Tensor)  # nothing else was asked for
    return out.view(B, Mq, *out.shape[1:]).transpose(1, 2)
