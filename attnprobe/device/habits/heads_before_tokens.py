"""Tensors of (B, H, M, K) are passed to xFormers, which takes (B, M, H, K).

Source: xformers@0.0.35:xformers/ops/fmha/__init__.py (`memory_efficient_attention`).
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
    **said: Any,
) -> Tensor:
    """Heads attend heads, token by token."""
    k, v = (t.repeat_interleave(query.shape[1] // key.shape[1], 1) for t in (key, value))
    return _xformers.attend(query, k, v, _xformers.bias_of(query, k, None, is_causal), **said)


def mended(query: Tensor, key: Tensor, value: Tensor, **arguments: Any) -> Tensor:
    """The same transposed."""
    return _xformers.well_formed(query, key, value, **arguments)
