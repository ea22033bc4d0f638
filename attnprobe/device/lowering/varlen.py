"""Arguments of `torch.nn.attention.varlen.varlen_attn`: packed rows, bands from the bottom right.

The signature changed with every release: 2.10 has `is_causal`, 2.11 has `window_size` instead and
`scale`, 2.12 adds `enable_gqa` and `seqused_k`. What is said is what the installed function takes.
Source: torch@2.10.0, 2.11.0, 2.13.0:torch/nn/attention/varlen.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

from attnprobe.core.case import Case
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering.band import Band, bottom_right
from attnprobe.device.lowering.base import Lowered, Refusal, lacks
from attnprobe.device.lowering.packed import Packed, padded_lengths


def installed() -> Callable[..., Any] | None:
    """`varlen_attn` of this torch; None before 2.10."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return varlen_attn  # type: ignore[no-any-return, unused-ignore]  # untyped before 2.11


def lower(inputs: Inputs, function: Callable[..., Any] | None = None) -> Lowered | Refusal:
    """Keyword arguments beside query, key and value, which are (T, H, K).

    Full padded tensors are B sequences of equal length, to be viewed as (B * M, H, K).

    Args:
        inputs: The case and its tensors.
        function: The `varlen_attn` to speak to; None is the installed one.
    """
    return said(inputs.case, inputs.device, function)


def said(
    case: Case, device: torch.device, function: Callable[..., Any] | None = None
) -> Lowered | Refusal:
    """As `lower`, of a case whose tensors are yet to be computed.

    Args:
        case: The attention call.
        device: Where it will be.
        function: See `lower`.
    """
    function = function or installed()
    if function is None:
        return Refusal(
            (f"torch {torch.__version__} has no torch.nn.attention.varlen",), by="library"
        )
    takes = inspect.signature(function).parameters
    name = "varlen_attn"
    reasons = lacks(case, name, "softcap", "alibi", "bias", "dropout", "dense masks")
    reasons += padded_lengths(case, name)
    if "scale" not in takes:
        reasons += lacks(case, f"the {name} of this torch", "scale")
    if "enable_gqa" not in takes:
        reasons += lacks(case, f"the {name} of this torch", "gqa")
    if case.storage == "packed-padded-keys" and "seqused_k" not in takes:
        reasons.append(f"the {name} of this torch takes no seqused_k, which keys in slots need")
    elif case.storage == "packed-padded-keys" and case.wants_backward:
        reasons.append(f"{name} has no backward with seqused_k, which keys in slots need")
    band = bottom_right(case)
    if isinstance(band, str):
        reasons.append(band)
    elif "window_size" not in takes and band not in (Band(None, None), Band(None, 0)):
        reasons.append(f"the {name} of this torch is plain or causal, it takes no window")
    if reasons or isinstance(band, str):
        return Refusal(tuple(reasons))
    packed = Packed.of(case, device)
    arguments: dict[str, Any] = {
        "cu_seq_q": packed.cu_q,
        "cu_seq_k": packed.cu_kv,
        "max_q": packed.max_q,
        "max_k": packed.max_kv,
    }
    form = "cu_seq"
    if not band.is_full:
        key = "window_size" if "window_size" in takes else "is_causal"
        window = (_side(band.left), _side(band.right))
        arguments[key] = window if key == "window_size" else True
        form += f", {key}={arguments[key]}"
    if packed.used_kv is not None:
        arguments["seqused_k"] = packed.used_kv
    if case.score.scale is not None and "scale" in takes:
        arguments["scale"] = case.score.scale
    if case.groups > 1:
        arguments["enable_gqa"] = True
    return Lowered(arguments, form)


def _side(side: int | None) -> int:
    """-1 is unbounded."""
    return -1 if side is None else side
