"""Arguments of `nn.MultiheadAttention.forward`, whose boolean masks mean the opposite: True = ignore.

Dropout, heads and dims belong to the module's constructor, not to the call.
Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html (notes on
`attn_mask`, `key_padding_mask`, `is_causal`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from attnprobe.core.case import Case
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering import dense
from attnprobe.device.lowering.base import Lowered, Refusal, lacks


def lower(inputs: Inputs) -> Lowered | Refusal:
    """`attn_mask`, `key_padding_mask` and `is_causal` for (Bc, T, Hq * K) tensors (batch first).

    `attn_mask` is (Tq, Tkv), or (Bc * Hq, Tq, Tkv) where sequences or heads differ; `key_padding_mask`
    is (B, Mkv). `is_causal` is a hint that lets the module drop `attn_mask`, so it comes with the mask
    that it describes and never alone.
    """
    case = inputs.case
    name = "nn.MultiheadAttention"
    reasons = lacks(case, name, "softcap", "scale", "gqa")
    if case.Kv != case.K:
        reasons.append(f"{name} has one head dim for keys and values (K={case.K}, Kv={case.Kv})")
    summed = case.score.bias is not None or case.score.alibi
    if case.mask_form == "dense-bool" and summed:
        reasons.append("mask_form=dense-bool: a boolean mask cannot carry a bias or ALiBi")
    if reasons:
        return Refusal(tuple(reasons))
    if summed or case.mask_form == "dense-float":
        mask = _per_head(case, dense.additive(inputs))
        return Lowered({"attn_mask": mask}, dense.text(mask), dense.nbytes(mask))
    if case.mask_form == "best":
        only_keys = case.lengths is not None and case.storage == "padded"
        if only_keys and all(s.Mq == case.Mq for s in case.sequences):
            return _with_padding(case, inputs.q.device)
        if case.mask.is_none and case.lengths is None:
            return Lowered()
    forbidden = _per_head(case, ~dense.allowed(case, inputs.q.device))
    return _said(case, forbidden, hint=case.lengths is None and case.mask_form == "best")


def _said(case: Case, forbidden: Tensor, hint: bool) -> Lowered:
    """The mask, and the hint where it tells the truth: the module's causal is aligned top-left."""
    said: dict[str, Any] = {"attn_mask": forbidden}
    mask, form = case.mask, dense.text(forbidden)
    if hint and mask.is_causal and (mask.align == "top-left" or case.Mq == case.Mkv):
        said["is_causal"] = True
        form += " + is_causal"
    return Lowered(said, form, dense.nbytes(forbidden))


def _with_padding(case: Case, device: torch.device) -> Lowered:
    """Keys behind their length are ignored; the band, if it is the same everywhere, by `attn_mask`."""
    lengths = torch.tensor([s.Mkv for s in case.sequences], device=device)
    padding = torch.arange(case.Mkv, device=device) >= lengths[:, None]
    said: dict[str, Any] = {"key_padding_mask": padding}
    form, occupied = f"key_padding_mask {dense.text(padding)}", dense.nbytes(padding)
    if case.mask.is_none:
        return Lowered(said, form, occupied)
    if case.mask.is_aligned and case.mask.align == "bottom-right":  # each length moves the diagonal
        return _said(case, _per_head(case, ~dense.allowed(case, device)), hint=False)
    forbidden = ~dense.allowed(case.edit(lengths=None), device)[0, 0]
    said["attn_mask"] = forbidden
    return Lowered(said, f"{dense.text(forbidden)} + {form}", occupied + dense.nbytes(forbidden))


def _per_head(case: Case, mask: Tensor) -> Tensor:
    """(1 or Bc, 1 or Hq, 1 or Tq, 1 or Tkv) as (Tq, Tkv), or (Bc * Hq, Tq, Tkv) where it must be."""
    batch, _, Tq, _ = case.q_shape
    Tkv = case.k_shape[2]
    if mask.shape[:2] == (1, 1):
        return mask.expand(1, 1, Tq, Tkv)[0, 0]
    return mask.expand(batch, case.Hq, Tq, Tkv).reshape(batch * case.Hq, Tq, Tkv)
