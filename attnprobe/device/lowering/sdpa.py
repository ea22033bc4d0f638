"""Arguments of `torch.nn.functional.scaled_dot_product_attention`.

`is_causal` is aligned top-left, a boolean mask is True where attended, and there is no word for a
window, lengths, ALiBi or a soft cap: all but the last become a dense mask.
Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html
"""

from __future__ import annotations

from typing import Any

from torch.nn.attention.bias import causal_lower_right

from attnprobe.core.case import Case
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering import dense
from attnprobe.device.lowering.base import Lowered, Refusal


def lower(inputs: Inputs, causal_bias: bool = False) -> Lowered | Refusal:
    """Keyword arguments beside query, key and value, in layout BHMK.

    Args:
        inputs: The case and its tensors.
        causal_bias: Whether bottom-right causal may be said with `causal_lower_right`. It calls the
            flash or the memory-efficient kernel itself where one is enabled and takes the case;
            elsewhere (the CPU, math, cuDNN) it makes a dense mask in every call, so that a dense mask
            made once is the better form. It does not look at the lengths of what it is given.
            Source: torch@2.13.0:torch/nn/attention/bias.py, `CausalBias._dispatch`.
    """
    case = inputs.case
    common = _common(case)
    if case.score.is_plain and case.lengths is None and case.mask_form == "best":
        if case.mask.is_causal and (case.mask.align == "top-left" or case.Mq == case.Mkv):
            return Lowered(common | {"is_causal": True}, "is_causal=True")
        if case.mask.is_idle(case.Mq, case.Mkv):
            return Lowered(common)
        if case.mask.is_causal and causal_bias and case.Mq < case.Mkv:
            bias = causal_lower_right(case.Mq, case.Mkv)
            return Lowered(common | {"attn_mask": bias}, "causal_lower_right")
    match dense.lower(inputs):
        case Lowered(arguments, form, occupied):
            if inputs.mask_memory and "attn_mask" in arguments:
                arguments = {"attn_mask": inputs.mask_memory(arguments["attn_mask"])}
            return Lowered(common | arguments, form, occupied)
        case Refusal(reasons):
            return Refusal(tuple(r.replace("a dense mask has", "SDPA has") for r in reasons))


def _common(case: Case) -> dict[str, Any]:
    """What is said of any mask; only what differs from SDPA's defaults."""
    said: dict[str, Any] = {}
    if case.dropout_p:
        said["dropout_p"] = case.dropout_p
    if case.score.scale is not None:
        said["scale"] = case.score.scale
    if case.groups > 1:
        said["enable_gqa"] = True
    return said
