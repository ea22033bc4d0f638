"""nn.MultiheadAttention with identity projections. See {lowering/mha,backends/_mha}.py of device/."""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.repro import pairs
from attnprobe.repro.calls.base import Call, call, returned

_LAYER = """\
# Projections are the identity, so that the layer is attention itself.
layer = torch.nn.MultiheadAttention(
    Hq * K, Hq, dropout={dropout}, batch_first=True, device=device, dtype=dtype
).requires_grad_(False)
layer.in_proj_weight.copy_(torch.eye(Hq * K).repeat(3, 1))
layer.out_proj.weight.copy_(torch.eye(Hq * K))"""

_FAST = """\
layer.eval()
merged, kind = layer.merge_masks({mask}, {padding}, q)
# What the layer calls in eval mode when query, key and value are one tensor.
out = torch._native_multi_head_attention(
    q, k, v, Hq * K, Hq, layer.in_proj_weight, layer.in_proj_bias,
    layer.out_proj.weight, layer.out_proj.bias, merged, False, True, kind,
)[0]"""


def write(case: Case, backend: str) -> Call:
    """(B, M, H * K) in and out."""
    made, mask, padding, hint = _masks(case)
    if backend == "mha-fast-path":
        attend = _FAST.format(mask=mask or "None", padding=padding or "None")
    else:
        said = [
            f"need_weights={backend == 'mha-need-weights'}",
            f"attn_mask={mask}" if mask else "",
            f"key_padding_mask={padding}" if padding else "",
            "is_causal=True" if hint else "",
        ]
        attend = f"out = {call('layer', 'q', 'k', 'v', *said)}[0]"
    body = returned(
        made,
        "q, k, v = (t.transpose(1, 2).flatten(2) for t in (q, k, v))",
        attend,
        "return out.reshape(*out.shape[:2], Hq, K).transpose(1, 2)",
    )
    return Call((), body, _LAYER.format(dropout=repr(case.dropout_p)))


def _masks(case: Case) -> tuple[str, str, str, bool]:
    """Statements, the names of attn_mask and key_padding_mask, and whether is_causal is hinted."""
    if pairs.summed(case) or case.mask_form == "dense-float":
        return returned(pairs.additive(case), _per_head(case, "mask", None)), "mask", "", False
    if case.mask_form == "best":
        only_keys = case.lengths is not None and case.storage == "padded"
        if only_keys and all(s.Mq == case.Mq for s in case.sequences):
            return _with_padding(case)
        if case.mask.is_none and case.lengths is None:
            return "", "", "", False
    made = returned("mask = ~allowed", _per_head(case, "mask", _alike(case)))
    return made, "mask", "", _hint(case) and case.lengths is None and case.mask_form == "best"


def _hint(case: Case) -> bool:
    return case.mask.is_causal and (case.mask.align == "top-left" or case.Mq == case.Mkv)


def _with_padding(case: Case) -> tuple[str, str, str, bool]:
    lengths = ", ".join(str(s.Mkv) for s in case.sequences)
    padding = (
        f"lengths = torch.tensor([{lengths}], device=device)\n"
        "padding = torch.arange(Mkv, device=device) >= lengths[:, None]"
    )
    if case.mask.is_none:
        return padding, "", "padding", False
    if case.mask.is_aligned and case.mask.align == "bottom-right":
        return (
            returned("mask = ~allowed", _per_head(case, "mask", _alike(case))),
            "mask",
            "",
            False,
        )
    i = "torch.arange(Mq, device=device)[:, None]"
    j = "torch.arange(Mkv, device=device)"
    return returned(padding, f"mask = ~attends({i}, {j}, Mq, Mkv)"), "mask", "padding", False


def _alike(case: Case) -> bool:
    """Whether one (Tq, Tkv) mask serves all: it has no batch dimension then."""
    return case.lengths is None or case.q_shape[0] == 1


def _per_head(case: Case, name: str, alike: bool | None) -> str:
    """(Tq, Tkv), or (B * Hq, Tq, Tkv) where rows or heads differ."""
    if alike is None:
        shape = case.bias_shape or (1, 1)
        alike = shape[:2] == (1, 1) and not case.score.alibi and _alike(case)
    batch, _, Tq, _ = case.q_shape
    Tkv = case.k_shape[2]
    if alike:
        return f"{name} = {name}.expand(1, 1, {Tq}, {Tkv})[0, 0]"
    whole = f"{name}.expand({batch}, Hq, {Tq}, {Tkv})"
    return f"{name} = {whole}.reshape({batch} * Hq, {Tq}, {Tkv})"
