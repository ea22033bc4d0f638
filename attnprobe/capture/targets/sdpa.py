"""`torch.nn.functional.scaled_dot_product_attention`, nested tensors and CausalBias masks included."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from attnprobe.capture.seen import Arguments, Looked, Seen, number
from attnprobe.core.capture import CapturedMask
from attnprobe.core.mask import Align, Mask

if TYPE_CHECKING:
    from attnprobe.capture.watch import Watch

MODULES = ("torch.nn.functional",)

_NAMES = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa")


def install(module: ModuleType, watch: Watch) -> None:
    """The public function; what torch itself calls by this name is seen, too."""
    name = "scaled_dot_product_attention"
    watch.function(module, name, "sdpa", read, jit=f"aten::{name}")


def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Seen:
    """Alignment of `is_causal` is top-left (torch's documentation of the function)."""
    given = Arguments(_NAMES, {}, args, kwargs)
    mask = given["attn_mask"]
    causal = bool(given["is_causal"])
    return Seen(
        given["query"],
        given["key"],
        given["value"],
        mask=mask,
        flag="causal(align=top-left)" if causal and mask is None else "",
        dropout_p=number(given["dropout_p"]) or 0.0,
        scale=number(given["scale"]),
        is_causal=causal,
        enable_gqa=bool(given["enable_gqa"]),
        look=_causal_bias if type(mask).__name__ == "CausalBias" else None,
    )


def _causal_bias(seen: Seen) -> Looked:
    """torch.nn.attention.bias: a flag in the form of a tensor that was never filled."""
    corner = seen.mask.variant.name  # UPPER_LEFT or LOWER_RIGHT
    align: Align = "top-left" if corner == "UPPER_LEFT" else "bottom-right"
    made_for = (seen.mask.seq_len_q, seen.mask.seq_len_kv)
    return CapturedMask("causal", "CausalBias", Mask(None, 0, align), shape=made_for)
