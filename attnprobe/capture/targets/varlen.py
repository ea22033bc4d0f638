"""`torch.nn.attention.varlen.varlen_attn`: packed sequences, told apart by `cu_seqlens`."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from attnprobe.capture.seen import Arguments, Seen, number, spelled

if TYPE_CHECKING:
    from attnprobe.capture.watch import Watch

MODULES = ("torch.nn.attention.varlen",)

_NAMES = ("query", "key", "value", "cu_seq_q", "cu_seq_k", "max_q", "max_k")


def install(module: ModuleType, watch: Watch) -> None:
    """The function, and the one that writes into a given tensor (torch 2.12 and newer)."""
    watch.function(module, "varlen_attn", "varlen", read)


def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Seen:
    """Torch 2.10 took `is_causal`; since 2.11 it is `window_size=(-1, 0)`, aligned bottom-right."""
    given = Arguments(_NAMES, {}, args, kwargs)
    window = given["window_size"] or ((-1, 0) if given["is_causal"] else (-1, -1))
    return _seen(given, window, bool(given["enable_gqa"]))


def read_traced(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Seen:
    """The custom operator in a graph."""
    given = Arguments((*_NAMES, "is_causal", "scale", "window_size"), {}, args, kwargs)
    window = given["window_size"] or ((-1, 0) if given["is_causal"] is True else (-1, -1))
    return _seen(given, tuple(window), bool(given["enable_gqa"]))


def _seen(given: Arguments, window: Any, grouped: bool) -> Seen:
    flag = spelled(window[0], window[1], "bottom-right")
    return Seen(
        given["query"],
        given["key"],
        given["value"],
        layout="MHK",
        flag=flag,
        scale=number(given["scale"]),
        is_causal=tuple(window) == (-1, 0),
        enable_gqa=grouped,
        cu_q=given["cu_seq_q"],
        cu_kv=given["cu_seq_k"] if given["cu_seq_k"] is not None else given["cu_seq_q"],
    )
