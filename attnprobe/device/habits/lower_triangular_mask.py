"""xFormers' `LowerTriangularMask()` is passed for every length, in place of the mask that is meant.

Its diagonal starts at query 0 and key 0, however many keys there are.
Source: xformers@0.0.35:xformers/ops/fmha/attn_bias.py (`LowerTriangularMask`).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from attnprobe.device.habits import _xformers


def written(query: Tensor, key: Tensor, value: Tensor, **arguments: Any) -> Tensor:
    """The mask from the top left corner."""
    from xformers.ops import LowerTriangularMask

    return _masked(query, key, value, LowerTriangularMask(), **arguments)


def mended(query: Tensor, key: Tensor, value: Tensor, **arguments: Any) -> Tensor:
    """The mask from the bottom right corner."""
    from xformers.ops.fmha.attn_bias import LowerTriangularFromBottomRightMask

    return _masked(query, key, value, LowerTriangularFromBottomRightMask(), **arguments)


def _masked(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: object,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    enable_gqa: bool = False,
    **said: Any,
) -> Tensor:
    """The class says the mask: what SDPA would have been told of it is left aside."""
    k, v = (t.repeat_interleave(query.shape[1] // key.shape[1], 1) for t in (key, value))
    return _xformers.attend(*_xformers.rows(query, k, v), bias, **said).transpose(1, 2)
