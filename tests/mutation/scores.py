"""Planted bugs: scale, grouped heads, added biases."""

from __future__ import annotations

import torch

from tests.mutation.base import Attention


class ScaleMissing(Attention):
    """Scores are not scaled."""

    def scale(self, q, given):
        return 1.0 if given is None else given


class ScaleTwice(Attention):
    """Scores are scaled twice."""

    def scale(self, q, given):
        return super().scale(q, given) ** 2


class ScaleIgnored(Attention):
    """A given scale is ignored."""

    def scale(self, q, given):
        return q.shape[-1] ** -0.5


class ScaleOfPaddedHeadDim(Attention):
    """The default scale comes from the head dim padded to 128."""

    def scale(self, q, given):
        return (-(-q.shape[-1] // 128) * 128) ** -0.5 if given is None else given


class ScaleOnePercentOff(Attention):
    """The scale is one percent too large."""

    def scale(self, q, given):
        return super().scale(q, given) * 1.01


class ScaleInHalf(Attention):
    """The scale is rounded to bfloat16."""

    def scale(self, q, given):
        return torch.tensor(super().scale(q, given) * 1.003).bfloat16().item()


class HeadsRepeated(Attention):
    """Key heads are tiled instead of repeated: head h reads key head h % Hkv."""

    def expand(self, tensor, Hq):
        return tensor.repeat(1, Hq // tensor.shape[1], 1, 1)

    def group(self, name, gradient, Hkv):
        B, Hq, M, K = gradient.shape
        return gradient.view(B, Hq // Hkv, Hkv, M, K).sum(1)


class GradientOfFirstHeadOnly(Attention):
    """dK takes one query head of each group."""

    def group(self, name, gradient, Hkv):
        B, Hq, M, K = gradient.shape
        heads = gradient.view(B, Hkv, Hq // Hkv, M, K)
        return heads[:, :, 0] if name == "dk" else heads.sum(2)


class GradientMeanOfGroup(Attention):
    """dV averages the query heads of each group."""

    def group(self, name, gradient, Hkv):
        total = super().group(name, gradient, Hkv)
        return total * Hkv / gradient.shape[1] if name == "dv" else total


class LastKeyHeadForAll(Attention):
    """Grouped queries all read the last key head's values."""

    def expand(self, tensor, Hq):
        heads = super().expand(tensor, Hq)
        return heads if tensor.shape[1] == Hq else heads[:, -1:].expand_as(heads)


class BiasScaled(Attention):
    """The bias is multiplied by the softmax scale."""

    def add(self, scores, bias):
        return scores + bias.float() * 0.125


class BiasOfFirstBatch(Attention):
    """Every batch element reads the bias of the first."""

    def add(self, scores, bias):
        return scores + bias[:1].float()


class BiasRowBroadcast(Attention):
    """The bias of row 0 is added to every row."""

    def add(self, scores, bias):
        return scores + bias[..., :1, :].float()


class BiasDropped(Attention):
    """A bias that broadcasts over heads is forgotten."""

    def add(self, scores, bias):
        return scores if bias.shape[1] == 1 else super().add(scores, bias)


class BiasInBfloat16(Attention):
    """The bias is rounded to eight bits."""

    def add(self, scores, bias):
        return scores + bias.bfloat16().float()
