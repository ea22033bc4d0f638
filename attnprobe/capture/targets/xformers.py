"""Every public `memory_efficient_attention*` of xFormers, and which of its operators was chosen.

Releases after 0.0.35 take the functions from the package mslk (xformers@ca6d2aa).
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import TYPE_CHECKING, Any

from attnprobe.capture.seen import Arguments, Looked, Seen, number
from attnprobe.core.capture import CapturedMask
from attnprobe.core.mask import NONE, Align, Mask

if TYPE_CHECKING:
    from attnprobe.capture.watch import Watch

MODULES = ("xformers.ops.fmha", "mslk.attention.fmha")

_FUNCTIONS = tuple(
    f"memory_efficient_attention{ending}"
    for ending in ("", "_forward", "_forward_requires_grad", "_partial")
)
_NAMES = ("query", "key", "value", "attn_bias", "p", "scale")
_LAYOUTS: dict[int, Any] = {3: "BMK", 4: "BMHK", 5: "BMGHK"}
_BACKENDS = (
    ("cutlassF-blackwell", "xformers-cutlass-blackwell"),
    ("cutlassF", "xformers-cutlass"),
    ("fa2F", "xformers-fa2"),
    ("fa3F", "xformers-fa3"),
    ("triton_splitK", "xformers-triton-splitk"),
    ("ck", "xformers-ck"),
)
"""How an operator's NAME begins, and what `--backend` calls it."""


def install(module: ModuleType, watch: Watch) -> None:
    """The functions, and the operators between which they choose."""
    for name in _FUNCTIONS:
        watch.function(module, name, "xformers", read)
    for operator in getattr(module, "ALL_FW_OPS", ()):
        if "apply" in vars(operator):
            original = vars(operator)["apply"]
            watch.put(operator, "apply", original, classmethod(_telling(original, watch)))


def _telling(original: Any, watch: Watch) -> Any:
    """The operator's `apply`, which says its name to the call that is running."""
    recorder = watch.recorder

    @functools.wraps(original.__func__)
    def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
        for call in recorder.open[-1:]:
            call.chose(_backend(str(getattr(cls, "NAME", cls.__name__))))
        return original.__func__(cls, *args, **kwargs)

    return apply


def _backend(name: str) -> str:
    return next((ours for begin, ours in _BACKENDS if name.startswith(begin)), f"xformers-{name}")


def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Seen:
    """(B, M, H, K), also (B, M, G, H, K) and (B, M, K); packed sequences are one of B = 1."""
    given = Arguments(_NAMES, {}, args, kwargs)
    bias = given["attn_bias"]
    return Seen(
        given["query"],
        given["key"],
        given["value"],
        layout=_LAYOUTS[given["query"].dim()],
        mask=bias,
        dropout_p=number(given["p"]) or 0.0,
        scale=number(given["scale"]),
        cu_q=_starts(bias, "q_seqinfo"),
        cu_kv=_starts(bias, "k_seqinfo"),
        look=_look if hasattr(bias, "materialize") else None,
        said=(type(bias).__name__,) if hasattr(bias, "materialize") else (),
    )


def _starts(bias: Any, which: str) -> Any:
    """Where sequences start, which the mask keeps on the host, too."""
    return getattr(getattr(bias, which, None), "seqstart_py", None)


def _look(seen: Seen) -> Looked:
    """By the name of its class: what it says is what it is (xformers@0.0.35:ops/fmha/attn_bias.py)."""
    bias, name = seen.mask, type(seen.mask).__name__
    align: Align = "bottom-right" if "FromBottomRight" in name or "Offset" in name else "top-left"
    window = getattr(bias, "_window_size", None)
    if name == "LocalAttentionFromBottomRightMask":
        mask = Mask(int(bias.window_left), int(bias.window_right), align)
    elif window is not None and "Local" in name:
        causal = "Causal" in name or "Triangular" in name
        mask = Mask(int(window) - 1, 0 if causal else int(window) - 1, align)
    elif "Causal" in name or "LowerTriangular" in name:
        mask = Mask(None, 0, align)
    else:
        mask = NONE
    if "BlockDiagonal" in name:
        return CapturedMask("block-diagonal", name, mask, note="`mask` holds within each sequence")
    tensor = getattr(bias, "_bias", None)
    return CapturedMask(
        "causal" if mask.is_causal else "window",
        name,
        mask,
        values="dense" if tensor is not None else "",
        requires_grad=bool(getattr(tensor, "requires_grad", False)),
    )
