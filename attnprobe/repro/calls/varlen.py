"""torch.nn.attention.varlen.varlen_attn. See device/lowering/varlen.py."""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.repro.calls import packed
from attnprobe.repro.calls.base import Call, call, returned, scale

_FROM = "from torch.nn.attention.varlen"


def write(case: Case, backend: str) -> Call:
    """(T, H, K) rows with cu_seq; a window, which torch before 2.11 says as is_causal."""
    cu_q, cu_kv, max_q, max_kv = packed.starts(case)
    window = packed.band(case)
    sides = tuple(-1 if side is None else side for side in (window.left, window.right))
    setup = [
        f"cu_q = torch.tensor({cu_q}, dtype=torch.int32, device=device)",
        f"cu_kv = torch.tensor({cu_kv}, dtype=torch.int32, device=device)",
    ]
    said = [
        "" if window.is_full else f"window_size={sides}",
        scale(case),
        "enable_gqa=True" if case.groups > 1 else "",
    ]
    if case.storage == "packed-padded-keys":
        used = [s.Mkv for s in case.sequences]
        setup.append(f"used = torch.tensor({used}, dtype=torch.int32, device=device)")
        said.append("seqused_k=used")
    arguments = ("q", "k", "v", "cu_q", "cu_kv", str(max_q), str(max_kv), *said)
    packing = returned(
        "rows = q.shape[0]",
        "q, k, v = (t.transpose(1, 2).flatten(0, 1) for t in (q, k, v))",
    )
    out = "return out.reshape(rows, -1, *out.shape[1:]).transpose(1, 2)"
    both = call("varlen_attn", *arguments, "return_aux=AuxRequest(lse=True)")
    return Call(
        (f"{_FROM} import varlen_attn",),
        returned(packing, f"out = {call('varlen_attn', *arguments)}", out),
        "\n".join(setup),
        lse=returned(
            packing,
            f"out, lse = {both}[:2]",
            f"{out}, lse.reshape(Hq, rows, -1).transpose(0, 1)",
        ),
        lse_imports=(f"{_FROM} import AuxRequest",),
    )
