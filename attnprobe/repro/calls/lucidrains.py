"""memory-efficient-attention-pytorch. See device/lowering/lucidrains.py."""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.repro import pairs
from attnprobe.repro.calls.base import REPEATED, Call, call, returned

MODULE = "memory_efficient_attention_pytorch.memory_efficient_attention"


def write(case: Case, backend: str) -> Call:
    """`causal` and `mask` (keys in use) where they say it all, else one finite bias."""
    causal = case.mask.is_causal and (case.mask.align == "top-left" or case.Mq == case.Mkv)
    full = case.lengths is None
    whole_rows = case.storage == "padded" and all(s.Mq == case.Mq for s in case.sequences)
    fits = case.mask.is_none or (causal and (full or case.mask.align == "top-left"))
    words = fits and case.score.is_plain and case.mask_form == "best" and (full or whole_rows)
    made, said = "", list[str]()
    if case.dropout_p:
        said += [f"dropout={case.dropout_p!r}", "training=True"]
    if not words:
        finite = "torch.finfo(dtype).min / 2"
        if case.score.bias is not None and case.score.bias.dtype:
            finite = f"max(torch.finfo(t).min for t in (dtype, torch.{case.score.bias.dtype})) / 2"
        made = returned(
            f"finite = {finite}  # the package turns rows of -inf into NaN",
            pairs.additive(case, masked="finite"),
            "mask = mask.expand(*mask.shape[:2], q.shape[2], k.shape[2])",
        )
        said.append("attn_bias=mask")
    else:
        said += ["causal=True"] if causal else []
        if not full:
            lengths = ", ".join(str(s.Mkv) for s in case.sequences)
            made = (
                f"lengths = torch.tensor([{lengths}], device=device)\n"
                "used = torch.arange(Mkv, device=device) < lengths[:, None]"
            )
            said.append("mask=used")
    body = returned(
        REPEATED if case.groups > 1 else "",
        made,
        f"return {call('memory_efficient_attention', 'q', 'k', 'v', *said)}",
    )
    imports = (f"from {MODULE} import memory_efficient_attention",)
    return Call(imports, body, package="memory-efficient-attention-pytorch")
