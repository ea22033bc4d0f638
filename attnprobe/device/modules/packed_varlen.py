"""Any attention layer on one row of all tokens, through `torch.nn.attention.varlen`."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import linear

from attnprobe.device.backends.varlen import refusals
from attnprobe.device.lowering import varlen
from attnprobe.device.lowering.base import Refusal
from attnprobe.device.modules.attention_layer import AttentionLayer, heads_of
from attnprobe.device.modules.base import Body, LayerInputs, leaf
from attnprobe.device.modules.rows import AsTheyAre


def body(layer: AttentionLayer, given: LayerInputs) -> Body | Refusal:
    """The layer with `x` (and `memory`) as (T, D) and cu_seqlens."""
    case, attention = given.case, layer.attention(given.case)
    lowered, reasons = varlen.said(attention, given.device), refusals(attention)
    if isinstance(lowered, Refusal):
        return Refusal((*lowered.reasons, *reasons), lowered.by)
    call = varlen.installed()
    if reasons or call is None:
        return Refusal(reasons, by="library")
    leaves = {name: leaf(given, name, AsTheyAre()) for name in layer.leaf_names()}

    def forward(*tensors: Tensor) -> Tensor:
        native = dict(zip(leaves, tensors, strict=True))
        q, k, v = (heads_of(case, t) for t in layer.projected(native))
        out = call(q, k, v, **lowered.arguments)
        return linear(out.flatten(1), native["w_o"], native.get("b_o"))

    return Body(forward, leaves, AsTheyAre(), f"varlen_attn, {lowered.form}")
