"""A loss is taken of the log-sum-exp that varlen_attn returns.

Its registered backward takes the gradient of the log-sum-exp and does not use it.
Source: torch@2.13.0:torch/nn/attention/varlen.py, `_backward`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attnprobe.core.case import Sequence
from attnprobe.device.inputs import Inputs
from attnprobe.device.layouts import THK
from attnprobe.device.lowering import varlen
from attnprobe.device.lowering.base import Refusal

SHARE = "share of the gradient that arrives"


def written_shows(inputs: Inputs) -> dict[str, float]:
    """`lse.sum()` of what the kernel returned, differentiated for q; the output takes no part."""
    from torch.nn.attention.varlen import AuxRequest, varlen_attn

    lowered = varlen.lower(inputs)
    if isinstance(lowered, Refusal):
        raise NotImplementedError("; ".join(lowered.reasons))
    layout = THK(inputs.q.shape[0])
    q, k, v = (layout.native(n, getattr(inputs, n)).detach().requires_grad_() for n in "qkv")
    out, lse = varlen_attn(q, k, v, **lowered.arguments, return_aux=AuxRequest(lse=True))
    (dq,) = torch.autograd.grad(lse.sum() + 0.0 * out.sum(), q)
    return {SHARE: _share(layout.canonical("q", dq), inputs)}


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """`torch.logsumexp` of logits that torch differentiates."""
    q = inputs.q.detach().requires_grad_()
    lse = [torch.logsumexp(_logits(s, q, inputs), -1).sum() for s in inputs.case.sequences]
    (dq,) = torch.autograd.grad(torch.stack(lse).sum(), q)
    return {SHARE: _share(dq, inputs)}


def _share(dq: Tensor, inputs: Inputs) -> float:
    """Norm of a gradient over that of the true one: `scale` times the softmax's mean of the keys."""
    true = torch.zeros_like(inputs.q, dtype=torch.float32)
    for s in inputs.case.sequences:
        weights = torch.softmax(_logits(s, inputs.q, inputs), -1)
        true[_rows(s)] = inputs.case.scale * weights @ _keys(s, inputs)
    return float(dq.float().norm() / true.norm())


def _rows(s: Sequence) -> tuple[int, slice, slice]:
    return s.batch, slice(None), slice(s.q_start, s.q_start + s.Mq)


def _keys(s: Sequence, inputs: Inputs) -> Tensor:
    k = inputs.k[s.batch, :, s.kv_start : s.kv_start + s.Mkv].float()
    return k.repeat_interleave(inputs.case.groups, 0)


def _logits(s: Sequence, q: Tensor, inputs: Inputs) -> Tensor:
    """(Hq, Mq, Mkv) float32 of one sequence, -inf where the mask forbids."""
    i, j = (torch.arange(n, device=inputs.device) for n in (s.Mq, s.Mkv))
    allowed = inputs.case.mask.allows(i[:, None], j, s.Mq, s.Mkv)
    logits = inputs.case.scale * q[_rows(s)].float() @ _keys(s, inputs).mT
    return logits.masked_fill(~allowed, -torch.inf)
