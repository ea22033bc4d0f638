"""SDPA on jagged nested tensors. See device/lowering/njt.py and device/backends/njt.py."""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.repro.calls import packed
from attnprobe.repro.calls.base import Call, call, returned, scale
from attnprobe.repro.calls.sdpa import FUNCTION

_NESTED = """\
def nested(t, offsets, longest):
    \"""(B, H, j, K), a view of the rows of a canonical tensor.\"""
    values = t.transpose(1, 2).flatten(0, 1).contiguous()
    return torch.nested.nested_tensor_from_jagged(values, offsets, max_seqlen=longest).transpose(1, 2)"""


def write(case: Case, backend: str) -> Call:
    """`is_causal` only; offsets say the lengths."""
    cu_q, cu_kv, max_q, max_kv = packed.starts(case)
    setup = (
        f"q_offsets = torch.tensor({cu_q}, device=device)\n"
        f"kv_offsets = torch.tensor({cu_kv}, device=device)\n\n\n{_NESTED}"
    )
    said = [
        "is_causal=True" if case.mask.is_causal else "",
        scale(case),
        f"dropout_p={case.dropout_p!r}" if case.dropout_p else "",
        "enable_gqa=True" if case.groups > 1 else "",
    ]
    body = returned(
        "rows = q.shape[0]",
        f"q = nested(q, q_offsets, {max_q})",
        f"k, v = nested(k, kv_offsets, {max_kv}), nested(v, kv_offsets, {max_kv})",
        f"out = {call('scaled_dot_product_attention', 'q', 'k', 'v', *said)}",
        "values = out.transpose(1, 2).values()",
        "return values.reshape(rows, -1, *values.shape[1:]).transpose(1, 2)",
    )
    return Call((FUNCTION,), body, setup)
