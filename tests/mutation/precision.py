"""Planted bugs: too few digits, unsafe softmax."""

from __future__ import annotations

import torch

from tests.mutation.base import Attention


class ProbabilitiesInBfloat16(Attention):
    """P has eight bits whatever the inputs are."""

    def output(self, P, v):
        return P.bfloat16().float() @ v


class ScoresInBfloat16(Attention):
    """Scores are stored in eight bits."""

    def logits(self, q, k, scale):
        return super().logits(q, k, scale).bfloat16().float()


class ScoresInHalfOfFloat32(Attention):
    """float32 products run with ten-bit operands, as TF32 does."""

    def logits(self, q, k, scale):
        return super().logits(_ten_bits(q), _ten_bits(k), scale)


class AccumulatesInBfloat16(Attention):
    """The output is summed tile by tile in bfloat16."""

    def output(self, P, v):
        total = torch.zeros(*P.shape[:-1], v.shape[-1], dtype=torch.bfloat16)
        for start in range(0, v.shape[2], 16):
            total += (P[..., start : start + 16] @ v[:, :, start : start + 16]).bfloat16()
        return total.float()


class NoMaximum(Attention):
    """The softmax does not subtract the maximum."""

    def softmax(self, scores):
        weights = torch.exp(scores)
        return weights / weights.sum(-1, keepdim=True).clamp_min(1e-38)


class ScoresClipped(Attention):
    """Scores are clipped at 30."""

    def mask(self, scores, keep):
        return super().mask(scores.clamp(-30.0, 30.0), keep)


class DenominatorWithoutLastKey(Attention):
    """The row sum misses the last key."""

    def softmax(self, scores):
        P = super().softmax(scores)
        return P / (1.0 - P[..., -1:]).clamp_min(1e-6) if P.shape[-1] > 16 else P


class EpsilonInDenominator(Attention):
    """The row sum is guarded by adding 1e-2."""

    def softmax(self, scores):
        top = scores.amax(-1, keepdim=True)
        weights = torch.exp(scores - top.masked_fill(top == -torch.inf, 0.0))
        return weights / (weights.sum(-1, keepdim=True) + 1e-2)


class CoarseExponential(Attention):
    """exp has seven good bits."""

    def softmax(self, scores):
        P = super().softmax(scores)
        wobble = 1.0 + 2.0**-7 * torch.sin(1e4 * torch.nan_to_num(scores, neginf=0.0))
        P = P * wobble
        return P / P.sum(-1, keepdim=True).masked_fill(P.sum(-1, keepdim=True) == 0, 1.0)


class NoRescale(Attention):
    """The online softmax does not rescale what it summed before the last tile."""

    def output(self, P, v):
        last = v.shape[2] // 64 * 64
        if not 0 < last < v.shape[2]:
            return super().output(P, v)
        early, late = P[..., :last] @ v[:, :, :last], P[..., last:] @ v[:, :, last:]
        return early * 1.02 + late


class LargeLogitsOverflow(Attention):
    """Scores pass through float16."""

    def logits(self, q, k, scale):
        return ((q @ k.mT).half() * scale).float()


class OutputTruncated(Attention):
    """The output is rounded towards zero."""

    def write(self, name, tensor, dtype):
        rounded = tensor.to(dtype)
        over = rounded.float().abs() > tensor.abs()
        return torch.where(over, torch.nextafter(rounded, torch.zeros_like(rounded)), rounded)


class OutputGain(Attention):
    """The output is 2^-6 too large."""

    def output(self, P, v):
        return super().output(P, v) * (1.0 + 2.0**-6)


class FlushesSmallWeights(Attention):
    """Probabilities below 2^-10 count as zero."""

    def softmax(self, scores):
        P = super().softmax(scores)
        return P.masked_fill(P < 2.0**-10, 0.0)


def _ten_bits(tensor):
    return (tensor.view(torch.int32) & ~0x1FFF).view(torch.float32)
