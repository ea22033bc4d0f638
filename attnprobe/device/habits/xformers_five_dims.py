"""Grouped heads go to xFormers as (B, M, G, H, K), keys and values as expanded views.

Source: xformers@0.0.35:xformers/ops/fmha/__init__.py (docstring of memory_efficient_attention).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from attnprobe.device.habits import _xformers


def written(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    enable_gqa: bool = False,
    **arguments: Any,
) -> Tensor:
    """No key is copied."""
    groups = query.shape[1] // key.shape[1]
    bias = _xformers.bias_of(query, key, attn_mask, is_causal)
    if isinstance(bias, Tensor):
        bias = _grouped(bias, 1, groups)
    q, k, v = _xformers.rows(query, key, value)
    k, v = (t.unsqueeze(3).expand(*t.shape[:3], groups, -1) for t in (k, v))
    out = _xformers.attend(_grouped(q, 2, groups), k, v, bias, **arguments)
    return out.flatten(2, 3).transpose(1, 2)


def mended(query: Tensor, key: Tensor, value: Tensor, **arguments: Any) -> Tensor:
    """Keys and values repeated to all query heads, four dimensions."""
    return _xformers.well_formed(query, key, value, **arguments)


def _grouped(t: Tensor, dim: int, groups: int) -> Tensor:
    """Query heads as key heads and the heads of a group."""
    return t.reshape(*t.shape[:dim], -1, groups, *t.shape[dim + 1 :])
