"""`memory_efficient_attention` of memory-efficient-attention-pytorch, called by its layers too."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from attnprobe.capture.seen import Arguments, Looked, Seen, number

if TYPE_CHECKING:
    from attnprobe.capture.watch import Watch

MODULES = ("memory_efficient_attention_pytorch.memory_efficient_attention",)

_NAMES = (
    *("q", "k", "v", "mask", "causal", "attn_bias", "q_bucket_size", "k_bucket_size", "eps"),
    *("dropout", "training"),
)


def install(module: ModuleType, watch: Watch) -> None:
    """Its products are its own: they are not taken for attention written by hand."""
    watch.function(module, "memory_efficient_attention", "lucidrains", read)


def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Seen:
    """Causal is aligned top-left there; `mask` says which keys there are (True)."""
    given = Arguments(_NAMES, {}, args, kwargs)
    mask, causal, bias = given["mask"], bool(given["causal"]), given["attn_bias"]
    return Seen(
        given["q"],
        given["k"],
        given["v"],
        mask=bias if mask is None else mask,
        flag="causal(align=top-left)" if causal else "",
        dropout_p=(number(given["dropout"]) or 0.0) if given["training"] else 0.0,
        is_causal=causal,
        look=_padding if mask is not None else None,
        said=("attn_bias",) if bias is not None and mask is not None else (),
    )


def _padding(seen: Seen) -> Looked:
    from attnprobe.capture.look import recognised

    mask = seen.mask[:, None, None, :] if seen.mask.dim() == 2 else seen.mask
    return recognised(mask, seen.Mq, seen.Mkv)
