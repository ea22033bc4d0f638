"""q, k and v are copied from (B, H, M, K) into (B, M, H, K) before xFormers' call.

`rearrange(t, "b h n d -> b n h d").contiguous()`, although xFormers takes a transposed view.
Source: facebookresearch/xformers#700.
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
    **said: Any,
) -> Tensor:
    """Three copies, the call, and its output as a view."""
    k, v = _xformers.repeated(query, key), _xformers.repeated(query, value)
    bias = _xformers.bias_of(query, k, attn_mask, is_causal)
    q, k, v = (t.contiguous() for t in _xformers.rows(query, k, v))
    return _xformers.attend(q, k, v, bias, **said).transpose(1, 2)


def mended(query: Tensor, key: Tensor, value: Tensor, **arguments: Any) -> Tensor:
    """Views."""
    return _xformers.well_formed(query, key, value, **arguments)
