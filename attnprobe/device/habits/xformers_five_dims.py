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
    is_causal: bool = False,
    enable_gqa: bool = False,
    **arguments: Any,
) -> Tensor:
    """No key is copied."""
    groups = query.shape[1] // key.shape[1]
    q, k, v = _xformers.rows(query, key, value)
    q = q.reshape(*q.shape[:2], -1, groups, q.shape[3])
    k, v = (t.unsqueeze(3).expand(*t.shape[:3], groups, -1) for t in (k, v))
    out = _xformers.attend(q, k, v, _xformers.triangle(is_causal), **arguments)
    return out.flatten(2, 3).transpose(1, 2)


def mended(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    is_causal: bool = False,
    enable_gqa: bool = False,
    **arguments: Any,
) -> Tensor:
    """Keys and values repeated to all query heads, four dimensions."""
    groups = query.shape[1] // key.shape[1]
    k, v = (t.repeat_interleave(groups, 1) for t in (key, value))
    q, k, v = _xformers.rows(query, k, v)
    out = _xformers.attend(q, k, v, _xformers.triangle(is_causal), **arguments)
    return out.transpose(1, 2)
