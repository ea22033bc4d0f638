"""The mask as a tensor: boolean (True = attend), or additive (mask, bias and ALiBi in one)."""

from __future__ import annotations

import torch
from torch import Tensor

from attnprobe.core import units
from attnprobe.core.case import Case
from attnprobe.device.alibi import slopes
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering.base import Lowered, Refusal, lacks


def allowed(case: Case, device: torch.device | str | None = None) -> Tensor:
    """(1 or Bc, 1, Tq, Tkv) boolean: which query may attend which key, for every storage.

    The first dimension is 1 when all sequences are alike. Slots behind a sequence's length, and a
    packed row's tail, attend nothing and are attended by nothing.

    Args:
        case: The attention call.
        device: Where to make it; None is the case's device.
    """
    device = device or case.device
    sequences = case.sequences if case.lengths else case.sequences[:1]
    batch = case.q_shape[0] if case.lengths else 1
    full = torch.zeros(batch, 1, case.q_shape[2], case.k_shape[2], dtype=torch.bool, device=device)
    for s in sequences:
        i = torch.arange(s.Mq, device=device)[:, None]
        j = torch.arange(s.Mkv, device=device)[None, :]
        block = full[s.batch, 0, s.q_start : s.q_start + s.Mq, s.kv_start : s.kv_start + s.Mkv]
        block.copy_(case.mask.allows(i, j, s.Mq, s.Mkv))
    return full


def alibi(case: Case, device: torch.device | str | None = None) -> Tensor:
    """(1 or Bc, Hq, Tq, Tkv) float32: `-slope_h * |i + Mkv - Mq - j|` within each sequence, else 0."""
    device = device or case.device
    sequences = case.sequences if case.lengths else case.sequences[:1]
    batch = case.q_shape[0] if case.lengths else 1
    full = torch.zeros(batch, case.Hq, case.q_shape[2], case.k_shape[2], device=device)
    slope = slopes(case.Hq).to(device, torch.float32)[:, None, None]
    for s in sequences:
        i = torch.arange(s.Mq, device=device)[:, None]
        j = torch.arange(s.Mkv, device=device)[None, :]
        block = full[s.batch, :, s.q_start : s.q_start + s.Mq, s.kv_start : s.kv_start + s.Mkv]
        block.copy_(-slope * (i + s.Mkv - s.Mq - j).abs())
    return full


def additive(inputs: Inputs, masked: float = float("-inf")) -> Tensor:
    """What is added to the scaled logits: bias + ALiBi, and `masked` where the mask forbids.

    Its shape broadcasts to (Bc, Hq, Tq, Tkv). Its dtype is that of the queries (of the bias, where
    there is one), or float32 where ALiBi is not exact in it: bfloat16 has 8 significant bits, so
    distances beyond 256 would be lost. A soft cap is not in it: it acts before the addition.

    Args:
        inputs: The case and its tensors; `inputs.bias` is read, its graph is not kept.
        masked: The value that forbids.
    """
    case = inputs.case
    total = inputs.q.new_zeros(1, 1, 1, 1)
    if inputs.bias is not None:
        total = inputs.bias.detach()
    if case.score.alibi:
        precise = total.float() + alibi(case, inputs.q.device)
        rounded = precise.to(total.dtype)
        total = rounded if torch.equal(rounded.float(), precise) else precise
    nothing_masked = case.mask.is_none and case.lengths is None
    if nothing_masked and not case.score.is_plain:
        return total
    return torch.where(allowed(case, inputs.q.device), total, masked)


def text(tensor: Tensor) -> str:
    """`dense bool 0.3 MiB`: the form of a mask tensor, with the memory it occupies."""
    kind = str(tensor.dtype).removeprefix("torch.")
    return f"dense {kind} {units.size(nbytes(tensor))}"


def nbytes(tensor: Tensor) -> int:
    """Bytes of the memory behind a tensor, broadcast dimensions counted once."""
    return tensor.untyped_storage().nbytes()


def lower(inputs: Inputs) -> Lowered | Refusal:
    """`attn_mask`, as the case's `mask_form` asks; boolean where that suffices.

    The boolean tensor is (1 or Bc, 1, Tq, Tkv), True = attend; the additive one broadcasts to
    (Bc, Hq, Tq, Tkv).
    """
    case = inputs.case
    reasons = lacks(case, "a dense mask", "softcap")
    bias = case.score.bias
    forbids = bias is not None and bias.forbids and case.mask_form == "dense-bool"
    summed = (bias is not None and not forbids) or case.score.alibi
    if case.mask_form == "dense-bool" and summed:
        reasons.append("mask_form=dense-bool: a boolean mask cannot carry a bias or ALiBi")
    if reasons:
        return Refusal(tuple(reasons))
    if case.mask_form == "best" and not summed and case.mask.is_none and case.lengths is None:
        return Lowered()
    as_float = summed or case.mask_form == "dense-float"
    mask = additive(inputs) if as_float else _boolean(inputs)
    return Lowered({"attn_mask": mask}, text(mask), nbytes(mask))


def _boolean(inputs: Inputs) -> Tensor:
    """The mask, and with it what a bias forbids; as narrow as the bias where nothing else does."""
    case = inputs.case
    if inputs.bias is None:
        return allowed(case, inputs.q.device)
    own = inputs.bias == 0
    alone = case.mask.is_none and case.lengths is None
    return own if alone else own & allowed(case, inputs.q.device)
