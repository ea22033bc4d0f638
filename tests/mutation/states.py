"""Planted bugs between calls: caches, workspaces, threads, autograd's conditions, outliers."""

from __future__ import annotations

import time

import torch

from tests.mutation.base import Attention
from tests.mutation.flash import Flash


class BiasConvertedOncePerTensor(Flash):
    """The float32 copy of a bias is cached by address and shape: a step of the optimiser is not seen."""

    def __init__(self):
        self.copies = {}

    def pairs(self, tensor, g):
        if tensor is None or not tensor.is_floating_point():
            return super().pairs(tensor, g)
        key = tensor.data_ptr(), tuple(tensor.shape), tensor.dtype
        if key not in self.copies:
            self.copies[key] = (tensor, tensor.detach().float().clone())
        return super().pairs(self.copies[key][1], g)


class MaskTilesCachedByShape(Flash):
    """Which tiles of a boolean mask are empty is found out once per shape."""

    def __init__(self):
        self.found = {}

    def visited(self, g, i):
        if g.allowed is None:
            return super().visited(g, i)
        key = (g.Mq, g.Mkv, i)
        if key not in self.found:
            tiles = super().visited(g, i)
            self.found[key] = [j for j in tiles if self.tile(g.allowed, i, j).any()]
        return self.found[key]


class KeysKeptBetweenDecodes(Attention):
    """A single query without gradients attends the keys of the call before as well."""

    def __init__(self):
        self.past = None

    def __call__(self, query, key, value, attn_mask=None, *rest, **options):
        """Scaled dot product attention."""
        if query.shape[2] == 1 and attn_mask is None and not torch.is_grad_enabled():
            past, self.past = self.past, (key, value)
            now = [(x.shape, x.dtype) for x in (key, value)]
            if past and [(x.shape, x.dtype) for x in past] == now:
                key, value = (torch.cat(x, 2) for x in zip(past, (key, value), strict=True))
        return super().__call__(query, key, value, attn_mask, *rest, **options)


class FirstCallOfAShapeAddsTwice(Attention):
    """Trying out tile sizes on the first call of a shape adds to dq twice."""

    def __init__(self):
        self.tuned = set()

    def dq(self, dS, k, scale):
        shape = tuple(dS.shape), k.shape[-1]
        first = shape not in self.tuned
        self.tuned.add(shape)
        return super().dq(dS, k, scale) * (2 if first else 1)


class EveryThirdCallWrong(Attention):
    """A counter in the workspace is not reset: every third call of the same shape drops the last key."""

    def __init__(self):
        self.calls = {}

    def mask(self, scores, keep):
        shape = tuple(scores.shape)
        self.calls[shape] = self.calls.get(shape, 0) + 1
        scores = super().mask(scores, keep)
        if self.calls[shape] % 3 == 0 and scores.shape[-1] > 1:
            scores[..., -1] = -torch.inf
        return scores


class ScratchSharedByThreads(Attention):
    """Scores of all threads lie in one place for a moment."""

    scratch = None

    def softmax(self, scores):
        ScratchSharedByThreads.scratch = scores
        time.sleep(0.0005)
        mine = self.scratch if self.scratch.shape == scores.shape else scores
        return super().softmax(mine)


class WorkspaceGrowsNever(Attention):
    """The workspace is as large as the first call needed; rows beyond stay zero."""

    def __init__(self):
        self.rows = None

    def write(self, name, tensor, dtype):
        if name == "out":
            self.rows = self.rows or tensor.shape[0] * tensor.shape[1] * tensor.shape[2]
            flat = tensor.reshape(-1, tensor.shape[-1]).clone()
            flat[self.rows :] = 0
            tensor = flat.view(tensor.shape)
        return super().write(name, tensor, dtype)


class BiasGradientOnlyWithQuery(Attention):
    """The gradient of the bias is made along with dq, and only then."""

    def __call__(self, query, key, value, attn_mask=None, *rest, **options):
        """Scaled dot product attention."""
        if attn_mask is not None and attn_mask.requires_grad and not query.requires_grad:
            attn_mask = attn_mask.detach()
        return super().__call__(query, key, value, attn_mask, *rest, **options)


class DvZeroWhenQueryFrozen(Attention):
    """With q frozen the backward is not launched for v either."""

    def __call__(self, query, key, value, *rest, **options):
        """Scaled dot product attention."""
        self.frozen = not query.requires_grad
        return super().__call__(query, key, value, *rest, **options)

    def dv(self, P, dout):
        return super().dv(P, dout) * (0.0 if self.frozen else 1.0)


class AutocastRoundsToHalf(Attention):
    """Under autocast scores are rounded to quarters."""

    def logits(self, q, k, scale):
        scores = super().logits(q, k, scale)
        if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
            return (scores * 4).round() / 4
        return scores


class AutocastIgnoresMask(Attention):
    """Under autocast a boolean mask is cast along, and forbids nothing."""

    def allowed(self, Mq, Mkv, call, device):
        keep = super().allowed(Mq, Mkv, call, device)
        on = torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda")
        return torch.ones_like(keep) if on and call.allowed is not None else keep


class MaximumOfTheTile(Flash):
    """All rows of a tile subtract its one maximum: an outlier makes its neighbours vanish."""

    def maximum(self, s, top):
        new = super().maximum(s, top)
        return new.amax(-2, keepdim=True).expand_as(new)


class CompiledCallerLosesScale(Attention):
    """Under torch.compile the scale is that of the first trace."""

    def scale(self, q, given):
        return super().scale(q, None if torch.compiler.is_compiling() else given)
