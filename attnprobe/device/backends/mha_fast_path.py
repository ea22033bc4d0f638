"""What nn.MultiheadAttention calls in eval mode without gradients: one native operator.

The layer takes it only when query, key and value are one tensor; the operator itself takes three, so
it is called as the layer calls it. Source: torch@2.13.0:torch/nn/modules/activation.py
(`why_not_fast_path`) and aten/src/ATen/native/transformers/attention.cpp.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from attnprobe.core.case import Case
from attnprobe.device.backends._mha import Leaves, Mha


def refuse(case: Case) -> tuple[str, ...]:
    """The layer's conditions that a case can break."""
    found = []
    if case.wants_backward:
        found.append("the fast path is for inference: it has no backward")
    queries, keys = case.q_shape[2], case.k_shape[2]
    if queries != keys:
        found.append(f"the fast path is self-attention: {queries} queries are not {keys} keys")
    if case.Hq % 2:
        found.append(f"the fast path wants an even number of heads, not {case.Hq}")
    if case.score.bias is not None or case.score.alibi or case.mask_form == "dense-float":
        found.append("the fast path takes no floating-point mask")
    if case.dropout_p:
        found.append("the fast path is for inference: it has no dropout")
    return tuple(found)


def call(
    module: nn.MultiheadAttention, leaves: Leaves, arguments: dict[str, Any]
) -> Callable[[], Tensor]:
    """The operator with the layer's weights and its merged mask."""
    module.eval()
    q, k, v = leaves["q"], leaves["k"], leaves["v"]
    mask, mask_type = module.merge_masks(
        arguments.get("attn_mask"), arguments.get("key_padding_mask"), q
    )

    def launch() -> Tensor:
        out: Tensor = torch._native_multi_head_attention(
            q,
            k,
            v,
            module.embed_dim,
            module.num_heads,
            module.in_proj_weight,
            module.in_proj_bias,
            module.out_proj.weight,
            module.out_proj.bias,
            mask,
            False,  # need_weights
            True,  # average_attn_weights, without effect then
            mask_type,
        )[0]
        return out

    return launch


BACKEND = Mha(
    name="mha-fast-path",
    contracts={"cpu": "unfused", "cuda": "unfused"},
    call=call,
    materialises=True,
    refuse=refuse,
)
