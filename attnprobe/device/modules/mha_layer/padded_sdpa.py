"""Padded tensors, projections as plain matmuls, and SDPA with a mask of what is real."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear, scaled_dot_product_attention

from attnprobe.device.modules.attention_layer import AttentionLayer, heads_of
from attnprobe.device.modules.base import Body, LayerInputs, leaf
from attnprobe.device.modules.rows import Padded, Slots


def rows_of(layer: AttentionLayer, given: LayerInputs) -> Padded:
    """Slots as long as the longest sequence."""
    lengths = layer.lengths(given.case)
    return Padded(Slots(lengths.q, given.device), Slots(lengths.kv, given.device))


def body(layer: AttentionLayer, given: LayerInputs) -> Body:
    """A boolean (B, 1, 1, Mkv) mask, (B, 1, Mq, Mkv) where it is causal too; none where all is real."""
    rows, causal = rows_of(layer, given), given.case.mask.is_causal
    mask = rows.kv.real[:, None, None] if rows.kv.padding else None
    if mask is not None and causal:
        mask = mask & torch.ones(rows.q.M, rows.kv.M, dtype=torch.bool, device=given.device).tril()
    return masked(layer, given, rows, mask, causal and mask is None)


def masked(
    layer: AttentionLayer, given: LayerInputs, rows: Padded, mask: Tensor | None, is_causal: bool
) -> Body:
    """The layer on (B, M, D) with a mask that SDPA takes.

    Args:
        layer: Which.
        given: Its tensors.
        rows: How tokens lie in (B, M).
        mask: Boolean, True where a key is attended; None for none.
        is_causal: SDPA's argument.
    """
    leaves = {name: leaf(given, name, rows) for name in layer.leaf_names()}
    case = given.case

    def forward(*tensors: Tensor) -> Tensor:
        native = dict(zip(leaves, tensors, strict=True))
        q, k, v = (heads_of(case, t).transpose(1, 2) for t in layer.projected(native))
        out = scaled_dot_product_attention(q, k, v, mask, is_causal=is_causal, scale=case.scale)
        return linear(out.transpose(1, 2).flatten(-2), native["w_o"], native.get("b_o"))

    said = f"bool mask {tuple(mask.shape)}" if mask is not None else "no mask"
    form = "is_causal=True" if is_causal else said
    return Body(forward, leaves, rows, f"SDPA, {form}, {rows.q.padding:.0%} padding")
