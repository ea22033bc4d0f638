"""A tensor mask or bias goes to xFormers with dimensions of 1, as SDPA would take it.

Source: xformers@0.0.35:xformers/ops/fmha/common.py, `Inputs.validate_inputs`.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from attnprobe.device.habits import _xformers


def written(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor, **arguments: Any
) -> Tensor:
    """Floating and padded, but (1, H, M, N) for B sequences."""
    bias = _xformers.padded(_xformers.floating(attn_mask, query.dtype))
    q, k, v = _xformers.rows(query, key, value)
    return _xformers.attend(q, k, v, bias, **arguments).transpose(1, 2)


def mended(query: Tensor, key: Tensor, value: Tensor, **arguments: Any) -> Tensor:
    """The same memory as a view of every dimension."""
    return _xformers.well_formed(query, key, value, **arguments)
