"""Arguments of `memory_efficient_attention_pytorch`'s functions: causal, key padding, a bias.

`memory_efficient_attention(causal=True)` is aligned top-left, `attention(causal=True)` in the same file
bottom-right. A finite number must forbid: a chunk in which all keys of a row are -inf becomes NaN.
Source: memory-efficient-attention-pytorch@0.1.6:memory_efficient_attention.py, `summarize_qkv_chunk`.
"""

from __future__ import annotations

from typing import Any

import torch

from attnprobe.core.mask import Align
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering import dense
from attnprobe.device.lowering.base import Lowered, Refusal, lacks


def lower(inputs: Inputs, causal: Align = "top-left") -> Lowered | Refusal:
    """`causal`, `mask` ((B, Mkv), True = attend), `attn_bias` and dropout beside q, k and v (BHMK).

    Key and value heads are taken as expanded to Hq.

    Args:
        inputs: The case and its tensors.
        causal: What `causal=True` means to the function that is called.
    """
    case = inputs.case
    name = "memory-efficient-attention-pytorch"
    reasons = lacks(case, name, "softcap", "scale")
    if case.mask_form == "dense-bool":
        reasons.append(f"mask_form=dense-bool: {name} takes a boolean mask of keys only, (B, Mkv)")
    if reasons:
        return Refusal(tuple(reasons))
    said: dict[str, Any] = {}
    if case.dropout_p:
        said |= {"dropout": case.dropout_p, "training": True}
    mask = case.mask
    flagged = mask.is_causal and (mask.align == causal or case.Mq == case.Mkv)
    padding = case.lengths is not None and case.storage == "padded"
    full_rows = all(s.Mq == case.Mq for s in case.sequences)
    # With lengths, only a top-left diagonal stays where it is.
    fits = mask.is_none or (
        flagged and (case.lengths is None or mask.align == causal == "top-left")
    )
    if not (fits and case.score.is_plain and case.mask_form == "best") or (
        case.lengths is not None and not (padding and full_rows)
    ):
        kinds = {t.dtype for t in (inputs.q, inputs.bias) if t is not None}
        finite = max(torch.finfo(kind).min for kind in kinds)
        bias = dense.additive(inputs, masked=finite / 2)  # halved: the logit is added to it
        whole = (*bias.shape[:2], case.q_shape[2], case.k_shape[2])  # it is split along both
        said["attn_bias"] = bias.expand(whole)
        return Lowered(said, dense.text(bias), dense.nbytes(bias))
    forms = []
    if flagged:
        said["causal"] = True
        forms.append("causal=True")
    if padding:
        lengths = torch.tensor([s.Mkv for s in case.sequences], device=inputs.q.device)
        said["mask"] = torch.arange(case.Mkv, device=inputs.q.device) < lengths[:, None]
        forms.append(f"mask {dense.text(said['mask'])}")
    return Lowered(
        said, " + ".join(forms) or "no mask", dense.nbytes(said["mask"]) if padding else 0
    )
