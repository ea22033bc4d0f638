"""Attention taken apart into steps, so that a planted bug is one overridden method.

`Attention()` has the signature and the contract of `torch.nn.functional.scaled_dot_product_attention`:
layout (B, H, M, K), top-left `is_causal`, True = attend, zeros for rows without a key. It keeps
scores and sums in float32 and rounds the output once, with a backward of its own, because many real
bugs live in one gradient only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Call:
    """What the caller asked for, besides tensors."""

    allowed: Tensor | None
    is_causal: bool
    scale: float | None
    dropout_p: float


class Attention:
    """Right attention; every step may be overridden."""

    def __call__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        """Scaled dot product attention."""
        if query.shape[1] != key.shape[1] and not enable_gqa:
            raise ValueError("query and key differ in heads; pass enable_gqa=True")
        boolean = attn_mask is not None and attn_mask.dtype == torch.bool
        call = Call(attn_mask if boolean else None, is_causal, scale, dropout_p)
        bias = None if boolean else attn_mask
        return _Function.apply(query, key, value, bias, self, call)

    # forward ------------------------------------------------------------------------------------

    def read(self, name: str, tensor: Tensor) -> Tensor:
        """Loads q, k, v or dout."""
        return tensor.float()

    def expand(self, tensor: Tensor, Hq: int) -> Tensor:
        """Key heads as query heads see them."""
        return tensor.repeat_interleave(Hq // tensor.shape[1], 1)

    def scale(self, q: Tensor, given: float | None) -> float:
        """The softmax scale."""
        return q.shape[-1] ** -0.5 if given is None else given

    def logits(self, q: Tensor, k: Tensor, scale: float) -> Tensor:
        """Scores before any mask."""
        return (q @ k.mT) * scale

    def add(self, scores: Tensor, bias: Tensor) -> Tensor:
        """Adds a floating mask."""
        return scores + bias.float()

    def causal(self, i: Tensor, j: Tensor, Mq: int, Mkv: int) -> Tensor:
        """Which pairs `is_causal` allows."""
        return j <= i

    def allowed(self, Mq: int, Mkv: int, call: Call, device: torch.device) -> Tensor:
        """(.., Mq, Mkv) bool."""
        i = torch.arange(Mq, device=device)[:, None]
        j = torch.arange(Mkv, device=device)
        keep = self.causal(i, j, Mq, Mkv) if call.is_causal else (i >= 0) & (j >= 0)
        return keep if call.allowed is None else keep & call.allowed

    def mask(self, scores: Tensor, keep: Tensor) -> Tensor:
        """Removes what may not be attended."""
        return scores.masked_fill(~keep, -torch.inf)

    def softmax(self, scores: Tensor) -> Tensor:
        """Probabilities; rows without keys are zero."""
        top = scores.amax(-1, keepdim=True)
        weights = torch.exp(scores - top.masked_fill(top == -torch.inf, 0.0))
        total = weights.sum(-1, keepdim=True)
        return weights / total.masked_fill(total == 0.0, 1.0)

    def keep_mask(self, P: Tensor, p: float) -> Tensor:
        """Dropout's factors: 0 or 1/(1-p)."""
        return (torch.rand_like(P) >= p).float() / (1.0 - p)

    def output(self, P: Tensor, v: Tensor) -> Tensor:
        """P V."""
        return P @ v

    def write(self, name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
        """Rounds a result (out, dq, dk, dv) to the storage dtype."""
        return tensor.to(dtype)

    # backward -----------------------------------------------------------------------------------

    def backward_keep(self, keep: Tensor, call: Call) -> Tensor:
        """The mask as the backward sees it."""
        return keep

    def backward_dropout(self, Z: Tensor, p: float) -> Tensor:
        """Dropout's factors as the backward sees them."""
        return Z

    def dv(self, P: Tensor, dout: Tensor) -> Tensor:
        """Gradient of v, per query head."""
        return P.mT @ dout

    def delta(self, dout: Tensor, out: Tensor, P: Tensor, dP: Tensor) -> Tensor:
        """D = rowsum(dO * O)."""
        return (dout * out).sum(-1, keepdim=True)

    def dscores(self, P: Tensor, dP: Tensor, D: Tensor) -> Tensor:
        """Gradient of the scores."""
        return P * (dP - D)

    def dq(self, dS: Tensor, k: Tensor, scale: float) -> Tensor:
        """Gradient of q."""
        return (dS @ k) * scale

    def dk(self, dS: Tensor, q: Tensor, scale: float) -> Tensor:
        """Gradient of k, per query head."""
        return (dS.mT @ q) * scale

    def group(self, name: str, gradient: Tensor, Hkv: int) -> Tensor:
        """Sums the query heads of each key head."""
        B, Hq, M, K = gradient.shape
        return gradient.view(B, Hkv, Hq // Hkv, M, K).sum(2)

    def dbias(self, dS: Tensor, bias: Tensor) -> Tensor | None:
        """Gradient of a floating mask, summed over what it broadcasts."""
        return dS.sum_to_size(bias.shape).to(bias.dtype)


class _Function(torch.autograd.Function):
    @staticmethod
    def forward(ctx, query, key, value, bias, a, call):
        q, k, v = a.read("q", query), a.read("k", key), a.read("v", value)
        k, v = a.expand(k, q.shape[1]), a.expand(v, q.shape[1])
        scale = a.scale(q, call.scale)
        scores = a.logits(q, k, scale)
        if bias is not None:
            scores = a.add(scores, bias)
        keep = a.allowed(q.shape[2], k.shape[2], call, q.device)
        P = a.softmax(a.mask(scores, keep))
        Z = a.keep_mask(P, call.dropout_p) if call.dropout_p else None
        out = a.output(P if Z is None else P * Z, v)
        ctx.save_for_backward(query, key, value, bias, P, Z, out, keep)
        ctx.a, ctx.call, ctx.scale = a, call, scale
        return a.write("out", out, query.dtype)

    @staticmethod
    def backward(ctx, dout):
        query, key, value, bias, P, Z, out, keep = ctx.saved_tensors
        a, call, scale = ctx.a, ctx.call, ctx.scale
        q, k, v = a.read("q", query), a.read("k", key), a.read("v", value)
        k, v = a.expand(k, q.shape[1]), a.expand(v, q.shape[1])
        g = a.read("dout", dout)
        P = P.masked_fill(~a.backward_keep(keep, call), 0.0)
        if Z is not None:
            Z = a.backward_dropout(Z, call.dropout_p)
        dP = g @ v.mT
        dv = a.dv(P if Z is None else P * Z, g)
        dP = dP if Z is None else dP * Z
        dS = a.dscores(P, dP, a.delta(g, out, P, dP))
        Hkv = key.shape[1]
        return (
            a.write("dq", a.dq(dS, k, scale), query.dtype),
            a.write("dk", a.group("dk", a.dk(dS, q, scale), Hkv), key.dtype),
            a.write("dv", a.group("dv", dv, Hkv), value.dtype),
            None if bias is None or not ctx.needs_input_grad[3] else a.dbias(dS, bias),
            None,
            None,
        )
