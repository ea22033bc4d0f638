"""The functions of flash-attn 2, 3 and 4, read by the names of their own parameters.

Sources: flash_attn/flash_attn_interface.py@v2.8.3, hopper/flash_attn_interface.py and
flash_attn/cute/interface.py of https://github.com/Dao-AILab/flash-attention. Masks are aligned
bottom-right in all of them.
"""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import TYPE_CHECKING, Any

from attnprobe.capture.seen import Arguments, Seen, number, spelled

if TYPE_CHECKING:
    from attnprobe.capture.watch import Watch

_APIS = {
    "flash_attn.flash_attn_interface": "flash-attn-2",
    "flash_attn_interface": "flash-attn-3",
    "flash_attn_3.flash_attn_interface": "flash-attn-3",
    "flash_attn.cute.interface": "flash-attn-4",
}
MODULES = tuple(_APIS)

_FUNCTIONS = (
    *("flash_attn_func", "flash_attn_qkvpacked_func", "flash_attn_kvpacked_func"),
    *("flash_attn_varlen_func", "flash_attn_varlen_qkvpacked_func"),
    *("flash_attn_varlen_kvpacked_func", "flash_attn_with_kvcache"),
)


def install(module: ModuleType, watch: Watch) -> None:
    """Before the package's `__init__` hands them on."""
    for name in _FUNCTIONS:
        function = getattr(module, name, None)
        if function is not None:
            watch.function(module, name, _APIS[module.__name__], reader(function, "varlen" in name))


def reader(function: Any, packed: bool) -> Any:
    """Reads calls of this function.

    Args:
        function: With parameters as the packages name them.
        packed: Whether sequences lie one behind the other, (T, H, K).
    """
    parameters = inspect.signature(function).parameters.values()
    names = tuple(p.name for p in parameters)
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}

    def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Seen:
        given = Arguments(names, defaults, args, kwargs)
        q, k, v = _tensors(given)
        left, right = given["window_size"] or (-1, -1)
        causal = bool(given["causal"])
        return Seen(
            q,
            k,
            v,
            layout="MHK" if packed else "BMHK",
            flag=spelled(left, 0 if causal else right, "bottom-right"),
            dropout_p=number(given["dropout_p"]) or 0.0,
            scale=number(given["softmax_scale"]),
            is_causal=causal,
            enable_gqa=q.shape[-2] != k.shape[-2],
            softcap=number(given["softcap"]) or None,
            cu_q=_first(given, "cu_seqlens_q", "cu_seqlens"),
            cu_kv=_first(given, "cu_seqlens_k", "cu_seqlens"),
            said=tuple(
                name for name in _SAID if given[name] is not None and given[name] is not False
            ),
        )

    return read


_SAID = ("alibi_slopes", "deterministic", "block_table", "cache_seqlens", "learnable_sink", "qv")


def _tensors(given: Arguments) -> tuple[Any, Any, Any]:
    """q, k and v, also out of one packed tensor; dim -3 of it holds what is packed."""
    if given["qkv"] is not None:
        q, k, v = given["qkv"].unbind(-3)
    elif given["kv"] is not None:
        q, (k, v) = given["q"], given["kv"].unbind(-3)
    elif given["k_cache"] is not None:
        q, k, v = given["q"], given["k_cache"], given["v_cache"]
    else:
        q, k, v = given["q"], given["k"], given["v"]
    return q, k, v


def _first(given: Arguments, *names: str) -> Any:
    return next((given[name] for name in names if given[name] is not None), None)
