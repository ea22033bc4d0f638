"""The lines that draw a case's tensors: the same bits as device/inputs.py and device/memory.py give."""

from __future__ import annotations

import math

from attnprobe.core.case import Case
from attnprobe.errors import UsageError

ON_DEVICE_ABOVE = 2**28
"""As in device/inputs.py: elements beyond which tensors are drawn on the device itself."""

FAMILIES = {
    "normal": "",
    "uniform": "q, k, v = (torch.rand(t.shape, generator=generator@) for t in (q, k, v))",
    "large-logits": "q, k = 6 * q, 6 * k",
    "very-negative-lse": "q, k = q.abs() + 3, -(k.abs() + 3)",
    "outlier-channels": """\
def spiked(t):
    rare = torch.rand(t.shape, generator=generator@) < 0.01
    return t + rare * torch.randn(t.shape, generator=generator@) * 10


q, k, v = spiked(q), spiked(k), spiked(v)
k[..., 0] += 4""",
    "constant-keys": "k = k[:, :, :1].expand_as(k).clone()",
    "one-hot": """\
keys = k.repeat_interleave(Hq // Hkv, 1)
chosen = (torch.rand(q.shape[:3], generator=generator@) * keys.shape[2]).long()
q = 6 * keys.gather(2, chosen[..., None].expand(-1, -1, -1, K)) / max(1.0, K**0.5 / 4)""",
    "cancelling": """\
sign = torch.ones(v.shape[2]@)
sign[1::2] = -1
q, v = 0.3 * q, sign[:, None] * (50 + 0.1 * v)""",
    "rising": """\
q[..., 0] = 1.5 * K**0.5 / 4
k[..., 0] = 4.0 * torch.arange(k.shape[2]@)""",
}

LAYOUTS = {
    "BHMK": "",
    "BMHK": """\
# Memory in the order (B, M, H, K): what a projection followed by a view leaves.
q, k, v, dout = (t.transpose(1, 2).contiguous().transpose(1, 2) for t in (q, k, v, dout))""",
    "packed-qkv": """\
# Three slices of one (B, M, 3, H, K) tensor: what one fused input projection leaves.
packed = torch.stack([t.transpose(1, 2) for t in (q, k, v)], dim=2)
q, k, v = (packed[:, :, n].transpose(1, 2) for n in range(3))
dout = dout.transpose(1, 2).contiguous().transpose(1, 2)""",
    "expanded-kv": """\
# The keys and values of the first sequence, shared by all: stride 0 over B.
k, v = k[:1].expand_as(k), v[:1].expand_as(v)""",
    "strided": """\


def strided(t):
    \"""Every second element of rows twice as long: the last stride is 2.\"""
    wide = t.new_zeros(*t.shape[:-1], 2 * t.shape[-1])
    wide[..., ::2] = t
    return wide[..., ::2]


q, k, v = strided(q), strided(k), strided(v)""",
    "unaligned": """\


def unaligned(t):
    \"""The first element lies one element behind an aligned address.\"""
    return t.new_zeros(t.numel() + 1)[1:].view(t.shape).copy_(t)


q, k, v = unaligned(q), unaligned(k), unaligned(v)""",
    "kv-cache": """\


def cached(t):
    \"""The first slots of a longer cache, with NaN behind.\"""
    slots = t.new_full((*t.shape[:2], t.shape[2] + 5, t.shape[3]), torch.nan)
    return slots[:, :, : t.shape[2]].copy_(t)


k, v = cached(k), cached(v)
q, dout = (t.transpose(1, 2).contiguous().transpose(1, 2) for t in (q, dout))""",
    "mixed": """\
# Memory in the order (B, M, H, K) for q, (B, H, M, K) for k and (H, B, M, K) for v.
q, dout = (t.transpose(1, 2).contiguous().transpose(1, 2) for t in (q, dout))
v = v.transpose(0, 1).contiguous().transpose(0, 1)""",
    "shared-kv": """\
# Keys and values are one tensor.
v = k""",
}


def lines(case: Case) -> str:
    """From the seed to q, k, v, dout and, where there is one, bias.

    Raises:
        UsageError: The case's family or layout cannot be written.
    """
    for what, name, known in (
        ("family", case.family, FAMILIES),
        ("layout", case.layout, LAYOUTS),
    ):
        if name not in known:
            raise UsageError(f"{what} {name!r} cannot be written into a script yet")
    shapes = (case.q_shape, case.k_shape, case.v_shape, case.out_shape)
    huge = sum(map(math.prod, shapes)) > ON_DEVICE_ABOVE
    family = FAMILIES[case.family]
    parts = [
        "# Drawn on the device itself, as there are many: other devices give other numbers."
        if huge
        else "# Drawn on the CPU from one seed: every machine has the same bits.",
        f"generator = torch.Generator({'device' if huge else ''}).manual_seed({case.seed})",
        *(
            f"{name} = torch.randn({_shape(case, name)}, generator=generator@)"
            for name in ("q", "k", "v", "dout")
        ),
        _BELONGS if case.lengths is not None else "",
        f"# Family {case.family}.\n{family}" if family else "",
        "q, k, v, dout = (t.to(dtype).to(device) for t in (q, k, v, dout))",
        LAYOUTS[case.layout],
        _bias(case),
    ]
    return "\n".join(filter(None, parts)).replace("@", ", device=device" if huge else "")


_BELONGS = """\
belongs = torch.zeros(rows, 1, Tq, 1@)
for b, q0, mq, _, _ in sequences:
    belongs[b, :, q0 : q0 + mq] = 1
dout = dout * belongs  # no loss looks at padding"""


def _bias(case: Case) -> str:
    bias = case.score.bias
    if bias is None:
        return ""
    names = zip("BHMN", ("B", "Hq", "Mq", "Mkv"), strict=True)
    shape = ", ".join(size if getattr(bias, dim) else "1" for dim, size in names)
    kind = f"torch.{bias.dtype}" if bias.dtype else "dtype"
    if bias.forbids:
        return (
            f"bias = torch.randn({shape}, generator=generator@)\n"
            "bias = torch.zeros_like(bias).masked_fill(bias < 0, -torch.inf)\n"
            f"bias[..., 0] = 0.0\nbias = bias.to({kind}).to(device)"
        )
    return f"bias = torch.randn({shape}, generator=generator@).to({kind}).to(device)"


def _shape(case: Case, name: str) -> str:
    """The canonical shape in the script's words."""
    heads = "Hq" if name in ("q", "dout") else "Hkv"
    dim = "K" if name in ("q", "k") else "Kv"
    if case.lengths is None:
        return f"B, {heads}, {'Mq' if heads == 'Hq' else 'Mkv'}, {dim}"
    return f"rows, {heads}, {'Tq' if heads == 'Hq' else 'Tkv'}, {dim}"
