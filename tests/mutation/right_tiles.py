"""Right implementations: tiles, splits, lazy rescaling, other orders, other memory, plain autograd."""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from tests.mutation.base import Attention
from tests.mutation.flash import Flash


class FlashTiles(Flash):
    """Tiles of 64 by 64, online softmax, backward from the log-sum-exp."""


class OddTiles(Flash):
    """Tiles of 48 rows and 80 keys, which divide each other in no way."""

    rows, keys = 48, 80


class LazyRescale(Flash):
    """The maximum follows only when it grew by more than 8, as FlashAttention-4 does."""

    def maximum(self, s, top):
        new = super().maximum(s, top)
        return torch.where((new - top > 8.0) | (top == -torch.inf), new, top)


class DqInAnyOrder(Flash):
    """Key tiles add to dq in an order of their own each time, as atomics do."""

    def key_order(self, g):
        order = list(super().key_order(g))
        random.Random().shuffle(order)
        return order


class SplitsMerged(Flash):
    """Each key tile has an output and a log-sum-exp of its own, merged in the end (flash decoding)."""

    def row_tile(self, g, i):
        parts = []
        for j in self.visited(g, i):
            s = self.tile_scores(g, i, j)
            empty = s.new_full((*s.shape[:3], 1), -torch.inf), s.new_zeros(*s.shape[:3], 1)
            parts.append(self.finish(*self.step(g, i, j, s, *empty, s.new_zeros(()))))
        outs = torch.stack([out for out, _ in parts])
        lses = torch.stack([lse for _, lse in parts])
        total = torch.logsumexp(lses, 0)
        share = torch.exp(lses - total.masked_fill(total == -torch.inf, 0.0))
        return (share * outs).sum(0), total


class RoundsBeforeGroups(Flash):
    """dk and dv of each query head are rounded, then summed by group (dk_expanded)."""

    def group(self, name, gradient, Hkv, dtype):
        return super().group(name, gradient.to(dtype), Hkv, dtype)


class Compensated(Attention):
    """Sums keys one after the other with Kahan's compensation."""

    def output(self, P, v):
        total = torch.zeros(*P.shape[:-1], v.shape[-1])
        lost = torch.zeros_like(total)
        for j in range(0, P.shape[-1], 16):
            part = P[..., j : j + 16] @ v[..., j : j + 16, :] - lost
            new = total + part
            lost, total = (new - total) - part, new
        return total


class OtherMemory(Flash):
    """Results lie in memory as (B, M, H, K), as torch's own fused kernels return them."""

    def write(self, name, tensor, dtype):
        return tensor.to(dtype).transpose(1, 2).contiguous().transpose(1, 2)


class PaddedHeadDim(Flash):
    """K is padded with zeros to a multiple of 16; results are slices of the padded buffers."""

    def read(self, name, tensor):
        return F.pad(tensor.float(), (0, -tensor.shape[-1] % 16))

    def __call__(self, query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None,
                 enable_gqa=False):  # fmt: skip
        self.widths = {"out": value, "dv": value, "dq": query, "dk": key}
        self.widths = {name: tensor.shape[-1] for name, tensor in self.widths.items()}
        return super().__call__(
            query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa
        )

    def write(self, name, tensor, dtype):
        return tensor.to(dtype)[..., : self.widths[name]]


def by_autograd(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    """Einsum, softmax and where in float32; autograd differentiates."""
    groups = query.shape[1] // key.shape[1]
    k, v = (x.float().repeat_interleave(groups, 1) for x in (key, value))
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    scores = torch.einsum("bhik,bhjk->bhij", query.float(), k) * scale
    keep = torch.ones(scores.shape[-2:], dtype=torch.bool)
    keep = keep.tril() if is_causal else keep
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        keep = keep & attn_mask
    elif attn_mask is not None:
        keep = keep & (attn_mask != -torch.inf)
        scores = scores + attn_mask.float().masked_fill(~keep, 0.0)
    some = keep.any(-1, keepdim=True)
    P = torch.softmax(scores.masked_fill(~keep & some, -torch.inf), -1)
    P = torch.where(some, P, 0.0)
    P = F.dropout(P, dropout_p, training=dropout_p > 0)
    return torch.einsum("bhij,bhjk->bhik", P, v).to(query.dtype)


def checkpointed(*arguments, **options):
    """`by_autograd`, computed once more in the backward."""
    return checkpoint(by_autograd, *arguments, use_reentrant=False, **options)


class ChunksOfQueries(Flash):
    """Fifty queries at a time over all keys at once."""

    rows, keys = 50, 100_000
