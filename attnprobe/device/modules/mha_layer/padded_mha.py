"""nn.MultiheadAttention on padded tensors, as most code written before nested tensors has it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attnprobe.device.modules.attention_layer import AttentionLayer
from attnprobe.device.modules.base import Body, LayerInputs, leaf, width
from attnprobe.device.modules.mha_layer.padded_sdpa import rows_of
from attnprobe.device.modules.rows import Padded


def body(layer: AttentionLayer, given: LayerInputs) -> Body:
    """`key_padding_mask` says what is padding (True), a causal (Mq, Mq) mask what comes later.

    In evaluation mode where no gradient is wanted, as inference code has it: then torch may take its
    fast path.
    """
    case, rows = given.case, rows_of(layer, given)
    module, leaves = _module(given, rows, layer.cross)
    said = {}
    if rows.kv.padding:
        said["key_padding_mask"] = ~rows.kv.real
    if case.mask.is_causal:
        M = rows.q.M
        said["attn_mask"] = torch.ones(M, M, dtype=torch.bool, device=given.device).triu(1)

    def forward(x: Tensor, *others: Tensor) -> Tensor:
        memory = others[0] if layer.cross else x
        out: Tensor = module(x, memory, memory, need_weights=False, **said)[0]
        return out

    form = ", ".join(("nn.MultiheadAttention", *said, f"{rows.q.padding:.0%} padding"))
    return Body(forward, leaves, rows, form)


def _module(
    given: LayerInputs, rows: Padded, cross: bool
) -> tuple[nn.MultiheadAttention, dict[str, Tensor]]:
    """The layer with the case's weights, and its parameters as leaves."""
    case = given.case
    module = nn.MultiheadAttention(
        width(case), case.Hq, batch_first=True, device="meta", dtype=given.dtype
    ).train(case.wants_backward)
    weights = {
        "w_q+w_k+w_v": (module, "in_proj_weight"),
        "b_q+b_k+b_v": (module, "in_proj_bias"),
        "w_o": (module.out_proj, "weight"),
        "b_o": (module.out_proj, "bias"),
    }
    leaves = {name: leaf(given, name, rows) for name in ("x", *(("memory",) if cross else ()))}
    for name, (owner, attribute) in weights.items():
        leaves[name] = nn.Parameter(leaf(given, name, rows), case.wants_backward)
        setattr(owner, attribute, leaves[name])
    return module, leaves
