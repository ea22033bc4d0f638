"""A boolean mask goes to xFormers, which takes floating-point tensors only.

Source: xformers@0.0.35:xformers/ops/fmha/cutlass.py, `_check_bias_alignment`.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from attnprobe.device.habits import _xformers


def written(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor, **arguments: Any
) -> Tensor:
    """Padded and of every dimension, but boolean."""
    bias = _xformers.expanded(_xformers.padded(attn_mask), query, key)
    q, k, v = _xformers.rows(query, key, value)
    return _xformers.attend(q, k, v, bias, **arguments).transpose(1, 2)


def mended(query: Tensor, key: Tensor, value: Tensor, **arguments: Any) -> Tensor:
    """The same mask as 0 and -inf."""
    return _xformers.well_formed(query, key, value, **arguments)
