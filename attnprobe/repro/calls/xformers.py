"""xformers.ops.memory_efficient_attention with one operator. See device/lowering/xformers.py."""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.device.lowering.band import Band, bottom_right
from attnprobe.repro import pairs
from attnprobe.repro.calls import packed
from attnprobe.repro.calls.base import REPEATED, Call, call, returned, scale

OPERATORS = {
    "xformers-cutlass": "cutlass",
    "xformers-fa2": "flash",
    "xformers-fa3": "flash3",
    "xformers-triton-splitk": "triton_splitk",
    "xformers-cutlass-blackwell": "cutlass_blackwell",
    "xformers-ck": "ck",
}

_WITH_LSE = "memory_efficient_attention_forward_requires_grad"

_PACKED_LSE = """\
if lse.shape[0] > 1:  # one padded row per sequence
    lse = torch.cat([lse[n : n + 1, :, :mq] for n, (_, _, mq, _, _) in enumerate(sequences)], 2)"""

_BMGHK = """\
q = q.unflatten(2, (Hkv, Hq // Hkv))
k, v = (t.unsqueeze(3).expand(*t.shape[:3], Hq // Hkv, t.shape[3]) for t in (k, v))"""

_ALIGNED = """\
# xFormers wants rows that are a multiple of 8 elements apart, and no broadcasting.
wide = mask.new_zeros(*mask.shape[:2], Mq, -(-Mkv // 8) * 8)
wide[..., :Mkv] = mask
mask = wide[..., :Mkv].expand(B, Hq, Mq, Mkv)"""


def write(case: Case, backend: str) -> Call:
    """BMHK; grouped heads as five dimensions forward, repeated with a backward or a tensor."""
    name, made, bias, tensor = _mask(case)
    repeated = case.groups > 1 and (case.wants_backward or tensor)
    grouped = case.groups > 1 and not repeated
    operator = OPERATORS.get(backend)
    imports = ["from xformers.ops import memory_efficient_attention"]
    if operator:
        imports.append(f"from xformers.ops.fmha import {operator}")
    if name:
        names = sorted({name, "BlockDiagonalMask"} if "BlockDiagonalMask." in made else {name})
        imports.append(f"from xformers.ops.fmha.attn_bias import {', '.join(names)}")
    backward = "None" if operator == "triton_splitk" else f"{operator}.BwOp"  # it has forward only
    said = [
        f"attn_bias={bias}" if bias else "",
        f"p={case.dropout_p!r}" if case.dropout_p else "",
        scale(case),
        f"op=({operator}.FwOp, {backward})" if operator else "",
    ]
    before = returned(
        made if tensor else "",
        REPEATED if repeated else "",
        "q, k, v = (t.transpose(1, 2) for t in (q, k, v))",
        _BMGHK if grouped else "",
    )
    after = returned("out = out.flatten(2, 3)" if grouped else "", "return out.transpose(1, 2)")
    forward = f"op={operator}.FwOp" if operator else ""
    both = call(f"{_WITH_LSE}", "q", "k", "v", *said[:-1], forward)
    return Call(
        tuple(imports),
        returned(
            before, f"out = {call('memory_efficient_attention', 'q', 'k', 'v', *said)}", after
        ),
        "" if tensor else made,
        "xformers",
        returned(
            before,
            f"out, lse = {both}",
            "lse = lse.reshape(lse.shape[0], Hq, -1)",
            "" if case.lengths is None else _PACKED_LSE,
            f"{after}, lse[:, :, : out.shape[1]]",
        ),
        (f"from xformers.ops.fmha import {_WITH_LSE}",),
    )


def _mask(case: Case) -> tuple[str, str, str, bool]:
    """(class, statements, the argument, whether it is a tensor)."""
    if case.storage == "packed":
        return _object(*_packed(case))
    if case.storage == "packed-padded-keys":
        return _object(*_in_slots(case))
    causal = case.mask.is_causal and (case.mask.align == "top-left" or case.Mq == case.Mkv)
    if case.lengths is None and case.mask_form == "best":
        if case.score.is_plain:
            band = bottom_right(case)
            if causal:
                return _object("LowerTriangularMask", "LowerTriangularMask()")
            if isinstance(band, Band):
                return _object(*_band(case, band))
        elif causal and case.bias_shape and not case.score.alibi and not case.wants_backward:
            name = "LowerTriangularMaskWithTensorBias"
            return name, returned("mask = bias", _ALIGNED), f"{name}(mask)", True
    return "", returned(pairs.additive(case), _ALIGNED), "mask", True


def _object(name: str, made: str, before: str = "") -> tuple[str, str, str, bool]:
    if not name:
        return "", "", "", False
    return name, returned(before, f"attn_bias = {made}"), "attn_bias", False


def _band(case: Case, band: Band) -> tuple[str, str]:
    left, right = band.left, band.right
    if band.is_full:
        return "", ""
    if left is None and right == 0:
        return "LowerTriangularFromBottomRightMask", "LowerTriangularFromBottomRightMask()"
    if left is not None and right == 0:
        name = "LowerTriangularFromBottomRightLocalAttentionMask"
        return name, f"{name}({left + 1})"
    name = "LocalAttentionFromBottomRightMask"
    sides = (case.Mkv if left is None else left, case.Mq if right is None else right)
    return name, call(name, f"window_left={sides[0]}", f"window_right={sides[1]}")


def _packed(case: Case) -> tuple[str, ...]:
    mask, sequences = case.mask, case.sequences
    q, kv = [s.Mq for s in sequences], [s.Mkv for s in sequences]
    plain = call("BlockDiagonalMask.from_seqlens", str(q), str(kv), "device=torch.device(device)")
    if mask.is_none:
        return "BlockDiagonalMask", plain
    square = all(s.Mq == s.Mkv for s in sequences)
    suffix = "FromBottomRightMask" if mask.align == "bottom-right" and not square else "Mask"
    kind = "Causal" if mask.left is None else "CausalLocalAttention"
    name, window = f"BlockDiagonal{kind}{suffix}", ""
    if mask.left is not None:
        window = f"_window_size={mask.left + 1}"
    made = call(name, "q_seqinfo=plain.q_seqinfo", "k_seqinfo=plain.k_seqinfo", window)
    return name, made, f"plain = {plain}"


def _in_slots(case: Case) -> tuple[str, str]:
    band = packed.band(case)
    q, kv = [s.Mq for s in case.sequences], [s.Mkv for s in case.sequences]
    left, right = band.left, band.right
    if band.is_full or (left is None and right == 0):
        kind = "" if band.is_full else "CausalWithOffset"
        name = f"BlockDiagonal{kind}PaddedKeysMask"
        return name, call(
            f"{name}.from_seqlens", str(q), "Mkv", str(kv), "device=torch.device(device)"
        )
    if left is not None and right == 0:
        name = "BlockDiagonalCausalLocalAttentionPaddedKeysMask"
        sides = [str(left + 1)]
    else:
        name = "BlockDiagonalLocalAttentionPaddedKeysMask"
        sides = [str(case.Mkv if left is None else left), str(case.Mq if right is None else right)]
    made = call(f"{name}.from_seqlens_local", str(q), "Mkv", str(kv), *sides)
    return name, f"{made}.to(device)"
