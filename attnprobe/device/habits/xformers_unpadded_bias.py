"""A tensor mask or bias goes to xFormers in rows of exactly Mkv elements.

Source: xformers@0.0.35:xformers/ops/fmha/cutlass.py, `_check_bias_alignment`.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from attnprobe.device.habits import _xformers


def written(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor, **arguments: Any
) -> Tensor:
    """Floating and of every dimension, contiguous."""
    bias = _xformers.expanded(_xformers.floating(attn_mask, query.dtype), query, key)
    q, k, v = _xformers.rows(query, key, value)
    return _xformers.attend(q, k, v, bias.contiguous(), **arguments).transpose(1, 2)


def mended(query: Tensor, key: Tensor, value: Tensor, **arguments: Any) -> Tensor:
    """A slice of rows that are a multiple of eight elements long."""
    return _xformers.well_formed(query, key, value, **arguments)
