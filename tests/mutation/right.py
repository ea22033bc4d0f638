"""Right implementations that differ in summation order, tiling and where they round."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from tests.mutation.base import Attention


class Plain(Attention):
    """Float32 inside, one rounding at the end."""


class Double(Attention):
    """Float64 inside."""

    def read(self, name, tensor):
        return tensor.double()

    def add(self, scores, bias):
        return scores + bias.double()


class RoundsProbabilities(Attention):
    """P is rounded to the storage dtype before P V, normalised."""

    def write(self, name, tensor, dtype):
        return tensor.to(dtype)

    def read(self, name, tensor):
        self.dtype = tensor.dtype
        return tensor.float()

    def output(self, P, v):
        return P.to(self.dtype).float() @ v


class RoundsDs(RoundsProbabilities):
    """P and dS are rounded before every product, as fused kernels do."""

    def dv(self, P, dout):
        return P.to(self.dtype).float().mT @ dout

    def dscores(self, P, dP, D):
        return super().dscores(P, dP, D).to(self.dtype).float()


class DeltaFromRoundedOutput(Attention):
    """D comes from the output as stored."""

    def read(self, name, tensor):
        self.dtype = tensor.dtype
        return tensor.float()

    def delta(self, dout, out, P, dP):
        return (dout * out.to(self.dtype).float()).sum(-1, keepdim=True)


class DeltaFromProbabilities(Attention):
    """D = rowsum(P * dP)."""

    def delta(self, dout, out, P, dP):
        return (P * dP).sum(-1, keepdim=True)


class PrescaledQuery(Attention):
    """The scale is split over q and k."""

    def logits(self, q, k, scale):
        root = math.sqrt(abs(scale))
        return math.copysign(1.0, scale) * ((q * root) @ (k * root).mT)


class BaseTwo(Attention):
    """Softmax in powers of two."""

    def softmax(self, scores):
        scores = scores * math.log2(math.e)
        top = scores.amax(-1, keepdim=True)
        weights = torch.exp2(scores - top.masked_fill(top == -torch.inf, 0.0))
        total = weights.sum(-1, keepdim=True)
        return weights / total.masked_fill(total == 0.0, 1.0)


class KeysBackwards(Attention):
    """Keys are summed in reverse, one tile of 32 after the other."""

    def output(self, P, v):
        total = 0.0
        for start in reversed(range(0, v.shape[2], 32)):
            keys = slice(start, start + 32)
            total = total + P[..., keys] @ v[:, :, keys]
        return total


class SplitK(Attention):
    """Seven splits of the keys, merged by a tree."""

    def output(self, P, v):
        step = max(1, -(-v.shape[2] // 7))
        parts = [P[..., s : s + step] @ v[:, :, s : s + step] for s in range(0, v.shape[2], step)]
        while len(parts) > 1:
            parts = [sum(parts[i : i + 2]) for i in range(0, len(parts), 2)]
        return parts[0]


class NormalisesLast(Attention):
    """P V first, division by the row sum last; rows without keys stay zero."""

    def softmax(self, scores):
        top = scores.amax(-1, keepdim=True)
        weights = torch.exp(scores - top.masked_fill(top == -torch.inf, 0.0))
        self.total = weights.sum(-1, keepdim=True)
        self.total = self.total.masked_fill(self.total == 0.0, 1.0)
        return weights / self.total

    def output(self, P, v):
        return ((P * self.total) @ v) / self.total


class GradientsByTile(Attention):
    """dK and dV are summed over query tiles of 16 in float32."""

    def dv(self, P, dout):
        return _by_rows(P, dout)

    def dk(self, dS, q, scale):
        return _by_rows(dS * scale, q)


class ShiftedMaximum(Attention):
    """Subtracts a bound on the maximum that is a little too large."""

    def softmax(self, scores):
        top = scores.amax(-1, keepdim=True) + 3.0
        weights = torch.exp(scores - top.masked_fill(top == torch.inf, 0.0).nan_to_num(neginf=0.0))
        total = weights.sum(-1, keepdim=True)
        return weights / total.masked_fill(total == 0.0, 1.0)


def torch_default(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    """Torch's own choice."""
    return F.scaled_dot_product_attention(
        query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
    )


def torch_math(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    """Torch's math backend."""
    with sdpa_kernel(SDPBackend.MATH):
        return torch_default(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)


def _by_rows(left, right):
    tiles = range(0, left.shape[2], 16)
    return sum(left[:, :, i : i + 16].mT @ right[:, :, i : i + 16] for i in tiles)
