"""torch.nn.attention.flex_attention with its mask_mod and score_mod. See device/lowering/flex.py."""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.repro.calls.base import Call, call, returned, scale

_TABLES = """\
# Of every slot: its sequence (-1 and -2 for none), its place in it, and that sequence's lengths.
table = {name: torch.zeros(rows, width, dtype=torch.int32, device=device)
         for name, width in (("q", Tq), ("kv", Tkv), ("i", Tq), ("j", Tkv), ("Mq", Tq), ("Mkv", Tq))}
table["q"] -= 1
table["kv"] -= 2
for n, (b, q0, mq, k0, mkv) in enumerate(sequences):
    queries, keys = (b, slice(q0, q0 + mq)), (b, slice(k0, k0 + mkv))
    table["q"][queries], table["kv"][keys] = n, n
    table["i"][queries] = torch.arange(mq, dtype=torch.int32, device=device)
    table["j"][keys] = torch.arange(mkv, dtype=torch.int32, device=device)
    table["Mq"][queries], table["Mkv"][queries] = mq, mkv"""

_WITHIN = """\
def mask_mod(b, h, i, j):
    inside = attends(table["i"][b, i], table["j"][b, j], table["Mq"][b, i], table["Mkv"][b, i])
    return (table["q"][b, i] == table["kv"][b, j]) & inside"""

_PLAIN = """\
def mask_mod(b, h, i, j):
    return attends(i, j, Mq, Mkv)"""


def write(case: Case, backend: str) -> Call:
    """Compiled as `flex`, not compiled as `flex-eager`."""
    names, setup = ["flex_attention"], ""
    masked = case.lengths is not None or not case.mask.is_none
    if masked:
        names.insert(0, "create_block_mask")
        setup = _block_mask(case)
    if backend == "flex":
        setup = returned(
            setup, "flex = torch.compile(flex_attention, fullgraph=True, dynamic=False)"
        )
    said = [
        scale(case),
        "enable_gqa=True" if case.groups > 1 else "",
        "score_mod=score_mod" if not case.score.is_plain else "",
        "block_mask=block_mask" if masked else "",
    ]
    function = "flex" if backend == "flex" else "flex_attention"
    score = "" if case.score.is_plain else f"{_score_mod(case)}\n"
    body = returned(score, f"return {call(function, 'q', 'k', 'v', *said)}")
    both = call(function, "q", "k", "v", *said, "return_aux=AuxRequest(lse=True)")
    lse = returned(score, f"out, beside = {both}", "return out, beside.lse")
    imports = (f"from torch.nn.attention.flex_attention import {', '.join(names)}",)
    asking = ("from torch.nn.attention.flex_attention import AuxRequest",)
    return Call(imports, body, setup, lse=lse, lse_imports=asking)


def _block_mask(case: Case) -> str:
    long = case.lengths is not None
    made = call(
        "create_block_mask",
        "mask_mod",
        "B=rows" if long else "B=None",
        "H=None",
        "Q_LEN=Tq" if long else "Q_LEN=Mq",
        "KV_LEN=Tkv" if long else "KV_LEN=Mkv",
        "device=device",
    )
    head = f"{_TABLES}\n\n\n{_WITHIN}" if long else _PLAIN
    return f"{head}\n\n\nblock_mask = {made}"


def _score_mod(case: Case) -> str:
    found = ["def score_mod(score, b, h, i, j):"]
    if case.score.softcap is not None:
        found.append("    score = softcap * torch.tanh(score / softcap)")
    if case.score.alibi and case.lengths is None:
        found.append("    score = score - slopes[h, 0, 0] * (i + (Mkv - Mq) - j).abs()")
    elif case.score.alibi:
        found.append('    moved = table["i"][b, i] + table["Mkv"][b, i] - table["Mq"][b, i]')
        found.append('    score = score - slopes[h, 0, 0] * (moved - table["j"][b, j]).abs()')
    if case.bias_shape is not None:
        full = [n for n, size in zip("bhij", case.bias_shape, strict=True) if size > 1]
        at = f"[{', '.join(full)}]" if full else ""
        found.insert(0, "table_of_bias = bias.squeeze()")
        found.append(f"    score = score + table_of_bias{at}")
    found.append("    return score")
    return "\n".join(found)
