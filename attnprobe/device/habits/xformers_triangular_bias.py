"""xFormers gets causal mask and bias as LowerTriangularMaskWithTensorBias, which has no backward.

Source: xformers@0.0.35:xformers/ops/fmha/{attn_bias,cutlass}.py.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import pad

ALIGNMENT = 8
"""Elements of a row of a bias, or a multiple (`_check_bias_alignment` in cutlass.py)."""


def written(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """The class over a bias that is -inf above the diagonal anyway."""
    from xformers.ops import LowerTriangularMask

    return _attend(LowerTriangularMask().add_bias, query, key, value, attn_mask, scale)


def mended(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """The tensor alone."""
    return _attend(lambda bias: bias, query, key, value, attn_mask, scale)


def _attend(
    form: Callable[[Tensor], object],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor,
    scale: float | None,
) -> Tensor:
    from xformers.ops import memory_efficient_attention

    groups, keys = query.shape[1] // key.shape[1], key.shape[2]
    k, v = (t.repeat_interleave(groups, 1).transpose(1, 2) for t in (key, value))
    rows = pad(bias, (0, -keys % ALIGNMENT))[..., :keys].expand(*query.shape[:3], keys)
    out: Tensor = memory_efficient_attention(
        query.transpose(1, 2), k, v, attn_bias=form(rows), scale=scale
    )
    return out.transpose(1, 2)
