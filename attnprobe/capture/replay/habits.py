"""What a script was seen to do around a call that no field of a Case says: its habits."""

from __future__ import annotations

import math
from collections.abc import Callable

from attnprobe.core.capture import ZERO_AND_ONE, Call, CapturedMask

_LEAST_FINITE = {
    "float16": -65504.0,
    "bfloat16": -3.3895313892515355e38,
    "float32": -3.4028234663852886e38,
}
"""torch.finfo(dtype).min."""

_SIXTEEN_BITS = ("float16", "bfloat16")


def habits(call: Call) -> tuple[str, ...]:
    """Names of `device/habits/`, as far as a capture can tell.

    Args:
        call: What was seen.
    """
    return tuple(name for name, shows in _SHOWS.items() if shows(call))


def _folded(call: Call) -> bool:
    return call.api == "sdpa" and len(call.q.shape) == 3 and call.q.kind != "nested"


def _broadcast(call: Call) -> bool:
    if call.api != "sdpa" or call.enable_gqa or len(call.q.shape) != 4 or len(call.k.shape) != 4:
        return False
    return call.k.shape[1] == 1 < call.q.shape[1]


def _finite(call: Call) -> bool:
    """Rows without keys matter; elsewhere the least number masks as well as -inf."""
    mask = call.mask
    if mask is None or not mask.empty_rows or not mask.forbidding:
        return False
    return all(value in _LEAST_FINITE.values() for value in mask.forbidding)


def _copied_padding(call: Call) -> bool:
    """Heads and queries of a padding mask, all alike and each with memory of its own."""
    mask, heads = call.mask, call.q.shape[1] if len(call.q.shape) == 4 else 1
    copied = mask is not None and mask.kind == "key-padding" and mask.broadcast == "B,H,M,N"
    return call.api == "sdpa" and copied and heads > 1


def _added(call: Call) -> bool:
    """Forbidden once is the least number, forbidden twice is -inf."""
    mask = call.mask
    if mask is None or len(mask.forbidding) != 2 or not mask.padding_left:
        return False
    return mask.forbidding[0] == -math.inf and mask.forbidding[1] in _LEAST_FINITE.values()


def _float32_heads(call: Call) -> bool:
    wide = (call.q.dtype, call.k.dtype)
    return call.api == "xformers" and "float32" in wide and call.v.dtype in _SIXTEEN_BITS


def _beside_flag(call: Call) -> bool:
    return call.api == "sdpa" and call.is_causal and call.mask is not None and bool(call.mask.shape)


def _inverted(call: Call) -> bool:
    """Attends the future alone; or the tail of shorter samples, and nothing of the longest."""
    mask = call.mask
    if call.api != "sdpa" or mask is None or mask.form != "bool":
        return False
    opposite = mask.mask is not None and (mask.mask.left, mask.mask.right) == (-1, None)
    return opposite or (mask.kind == "key-padding" and _tails(mask, call.k.shape[-2]))


def _tails(mask: CapturedMask, Mkv: int) -> bool:
    if len(mask.padding_left) != len(mask.lengths) or mask.holes or not mask.lengths:
        return False
    both = zip(mask.padding_left, mask.lengths, strict=True)
    ends = all(before + kept == Mkv for before, kept in both if kept)
    return ends and min(mask.lengths) == 0 < max(mask.lengths) < Mkv


def _numbers(call: Call) -> bool:
    return call.api == "sdpa" and call.mask is not None and ZERO_AND_ONE in call.mask.note


def _hint(call: Call) -> bool:
    """The hint beside a mask that is more than it says."""
    mask = call.mask
    return call.api == "mha" and call.is_causal and mask is not None and mask.kind != "causal"


def _stale(call: Call) -> bool:
    """An object for as many queries as keys, beside fewer queries."""
    mask = call.mask
    if mask is None or mask.form != "CausalBias" or len(set(mask.shape)) != 1:
        return False
    return call.q.shape[-2] < call.k.shape[-2]


def _in_eval(call: Call) -> bool:
    return call.api != "mha" and call.dropout_p > 0 and call.training is False


_SHOWS: dict[str, Callable[[Call], bool]] = {
    "dropout-in-eval": _in_eval,
    "finfo-min-masks-added": _added,
    "heads-broadcast": _broadcast,
    "heads-folded": _folded,
    "inverted-mask": _inverted,
    "key-mask-expanded": _copied_padding,
    "mask-as-numbers": _numbers,
    "mask-beside-flag": _beside_flag,
    "mask-of-finfo-min": _finite,
    "mha-causal-hint": _hint,
    "rope-in-float32": _float32_heads,
    "stale-causal-bias": _stale,
}
