"""flash_attn_func and flash_attn_varlen_func, releases 2, 3 and 4. See device/lowering/flash.py."""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.repro.calls import packed
from attnprobe.repro.calls.base import Call, call, returned, scale

MODULES = {
    "flash-attn-2": "flash_attn.flash_attn_interface",
    "flash-attn-3": "flash_attn_interface",
    "flash-attn-4": "flash_attn.cute.interface",
}


def write(case: Case, backend: str) -> Call:
    """(B, M, H, K), or packed (T, H, K) rows."""
    said = _said(case, backend)
    varlen = case.storage != "padded"
    name = "flash_attn_varlen_func" if varlen else "flash_attn_func"
    setup, before, after = "", "q, k, v = (t.transpose(1, 2) for t in (q, k, v))", "transpose(1, 2)"
    if varlen:
        cu_q, cu_kv, max_q, max_kv = packed.starts(case)
        setup = (
            f"cu_q = torch.tensor({cu_q}, dtype=torch.int32, device=device)\n"
            f"cu_kv = torch.tensor({cu_kv}, dtype=torch.int32, device=device)"
        )
        said += [
            "cu_seqlens_q=cu_q",
            "cu_seqlens_k=cu_kv",
            f"max_seqlen_q={max_q}",
            f"max_seqlen_k={max_kv}",
        ]
        if case.storage == "packed-padded-keys":
            used = [s.Mkv for s in case.sequences]
            setup += f"\nused = torch.tensor({used}, dtype=torch.int32, device=device)"
            said.append("seqused_k=used")
        before = "q, k, v = (t.transpose(1, 2).flatten(0, 1) for t in (q, k, v))"
        after = "unsqueeze(0).transpose(1, 2)"
    body = returned(
        before,
        f"out = {call(name, 'q', 'k', 'v', *said)}",
        "out = out[0] if isinstance(out, tuple) else out",
        f"return out.{after}",
    )
    asking = "return_lse=True" if backend == "flash-attn-4" else "return_attn_probs=True"
    lse = returned(
        before,
        f"out, lse = {call(name, 'q', 'k', 'v', *said, asking)}[:2]",
        f"return out.{after}, lse{'.unsqueeze(0)' if varlen else ''}",
    )
    return Call((f"from {MODULES[backend]} import {name}",), body, setup, backend, lse)


def _said(case: Case, backend: str) -> list[str]:
    window, unbounded = packed.band(case), None if backend == "flash-attn-4" else -1
    said = ["causal=True"] if window.right == 0 else []
    if window.left is not None or window.right not in (None, 0):
        sides = tuple(unbounded if s is None else s for s in (window.left, window.right))
        said.append(f"window_size={sides}")
    said.append(scale(case, "softmax_scale"))
    if case.score.softcap is not None:
        said.append("softcap=softcap")
    if case.dropout_p:
        said.append(f"dropout_p={case.dropout_p!r}")
    if case.score.alibi:
        said.append("alibi_slopes=slopes.flatten()")
    return said
