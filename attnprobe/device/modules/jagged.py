"""Any attention layer on jagged nested tensors: nothing is padded, and nothing is masked.

Source: https://docs.pytorch.org/tutorials/intermediate/transformer_building_blocks.html, whose layer
this is: linear, chunk, unflatten and SDPA all take nested tensors.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import linear, scaled_dot_product_attention

from attnprobe.device.backends.njt import choice
from attnprobe.device.lowering.base import Refusal
from attnprobe.device.modules.attention_layer import AttentionLayer, heads_of
from attnprobe.device.modules.base import Body, LayerInputs, leaf
from attnprobe.device.modules.rows import Jagged, Starts


def body(layer: AttentionLayer, given: LayerInputs) -> Body | Refusal:
    """The layer with `x` (and `memory`) as nested tensors (B, j, D)."""
    if not hasattr(torch.nested, "nested_tensor_from_jagged"):
        return Refusal((f"torch {torch.__version__} has no jagged nested tensors",), "library")
    case, lengths = given.case, layer.lengths(given.case)
    q = Starts.of(lengths.q, given.device)
    rows = Jagged(q, Starts.of(lengths.kv, given.device) if layer.cross else q)
    leaves = {name: leaf(given, name, rows) for name in layer.leaf_names()}
    causal, on_cpu = case.mask.is_causal, given.device.type == "cpu"

    def dense(projection: Tensor) -> Tensor:
        """On the CPU a copy: SDPA's math for nested tensors takes no third of a packed projection."""
        return projection.contiguous() if on_cpu else projection

    def attended(native: Mapping[str, Tensor]) -> list[Tensor]:
        return [heads_of(case, dense(t)).transpose(1, 2) for t in layer.projected(native)]

    chosen = choice(dict(zip("qkv", attended(leaves), strict=True)), {"is_causal": causal})
    if not isinstance(chosen, str):
        return Refusal(chosen, "library")

    def forward(*tensors: Tensor) -> Tensor:
        native = dict(zip(leaves, tensors, strict=True))
        q, k, v = attended(native)
        out = scaled_dot_product_attention(q, k, v, is_causal=causal, scale=case.scale)
        return linear(out.transpose(1, 2).flatten(-2), native["w_o"], native.get("b_o"))

    said = ("is_causal=True",) * causal + ("q, k, v copied",) * on_cpu
    return Body(forward, leaves, rows, f"{', '.join(('nested tensors', *said))} -> {chosen}")
