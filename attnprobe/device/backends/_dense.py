"""A dense mask for what a library takes as `attn_mask`: boolean, or additive when something is added."""

from __future__ import annotations

import torch
from torch import Tensor

from attnprobe.device import alibi
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering.base import Lowered, Refusal


def allowed(inputs: Inputs) -> Tensor | None:
    """(Bc, 1, Tq, Tkv) True where a query may attend, or None when every pair may."""
    case = inputs.case
    if case.mask.is_none and case.lengths is None:
        return None
    Bc, _, Tq, _ = case.q_shape
    found = torch.zeros(
        Bc if case.lengths else 1, 1, Tq, case.k_shape[2], dtype=torch.bool, device=inputs.q.device
    )
    for s in case.sequences if case.lengths else case.sequences[:1]:
        i = torch.arange(s.Mq, device=found.device)[:, None]
        j = torch.arange(s.Mkv, device=found.device)
        rows, columns = slice(s.q_start, s.q_start + s.Mq), slice(s.kv_start, s.kv_start + s.Mkv)
        found[s.batch, 0, rows, columns] = case.mask.allows(i, j, s.Mq, s.Mkv)
    return found


def lower(inputs: Inputs) -> Lowered | Refusal:
    """`attn_mask` and `scale`."""
    case, pairs = inputs.case, allowed(inputs)
    arguments: dict[str, object] = {}
    if case.score.scale is not None:
        arguments["scale"] = case.score.scale
    if case.dropout_p:
        arguments["dropout_p"] = case.dropout_p
    if case.groups > 1:
        arguments["enable_gqa"] = True
    mask = inputs.bias
    if case.score.alibi:
        if case.lengths is not None:
            return Refusal(("ALiBi with lengths",))
        i = torch.arange(case.Mq, device=inputs.q.device)[:, None] + case.Mkv - case.Mq
        j = torch.arange(case.Mkv, device=inputs.q.device)
        slopes = alibi.slopes(case.Hq).to(inputs.q.device)
        added = (-slopes[:, None, None] * (i - j).abs()).to(inputs.q.dtype)[None]
        mask = added if mask is None else mask + added
    if mask is not None and pairs is not None:
        mask = torch.where(pairs, mask, float("-inf"))
    elif mask is None:
        mask = pairs
    if mask is not None:
        arguments["attn_mask"] = mask
    return Lowered(arguments, "no mask" if mask is None else f"dense {mask.dtype}")
