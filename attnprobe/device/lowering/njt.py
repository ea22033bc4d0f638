"""SDPA on jagged nested tensors: offsets for the tensors, `is_causal` for the call.

Nested SDPA takes no mask tensor. Where a sequence has Mq != Mkv its `is_causal` has two meanings: it is
handed to a flash kernel that counts from the bottom right, or to a memory-efficient one that counts
from the top left.
Source: torch@2.13.0:torch/nested/_internal/sdpa.py, `_validate_sdpa_input` and the kernels called.
"""

from __future__ import annotations

from typing import Any

import torch

from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering.base import Lowered, Refusal, lacks
from attnprobe.device.lowering.packed import Packed, padded_lengths


def lower(inputs: Inputs) -> Lowered | Refusal:
    """`is_causal`, `scale`, `dropout_p`, `enable_gqa` for SDPA; `offsets` and `lengths` of the tensors.

    Of `arguments`, `offsets_q` and `offsets_kv` ((sequences + 1,) int64) with `max_q` and `max_kv` are
    for `torch.nested.nested_tensor_from_jagged(values, offsets, max_seqlen=...)`, where values are
    (T, H, K); the rest are for SDPA on the (B, H, j, K) transposes. Full padded tensors are B sequences
    of equal length.
    """
    case = inputs.case
    name = "SDPA on nested tensors"
    reasons = lacks(case, name, "softcap", "alibi", "bias", "dense masks")
    reasons += padded_lengths(case, name)
    if case.storage == "packed-padded-keys":
        reasons.append(f"{name} takes contiguous sequences, and keys in slots leave gaps")
    elif case.lengths is not None and case.lengths.tail:
        reasons.append(f"{name} has no rows that belong to no sequence (tail={case.lengths.tail})")
    square = all(s.Mq == s.Mkv for s in case.sequences)
    if not case.mask.is_none and not case.mask.is_causal:
        reasons.append(f"{name} takes no mask, only is_causal; not {case.mask.text}")
    elif case.mask.is_causal and not square:
        reasons.append(
            f"{name}: is_causal is bottom-right in its flash kernel and top-left in its "
            "memory-efficient one, and Mq and Mkv differ"
        )
    if reasons:
        return Refusal(tuple(reasons))
    packed = Packed.of(case, inputs.q.device)
    said: dict[str, Any] = {
        "offsets_q": packed.cu_q.to(torch.int64),
        "offsets_kv": packed.cu_kv.to(torch.int64),
        "max_q": packed.max_q,
        "max_kv": packed.max_kv,
    }
    form = "offsets"
    if case.mask.is_causal:
        said["is_causal"] = True
        form += ", is_causal=True"
    if case.score.scale is not None:
        said["scale"] = case.score.scale
    if case.dropout_p:
        said["dropout_p"] = case.dropout_p
    if case.groups > 1:
        said["enable_gqa"] = True
    return Lowered(said, form)
