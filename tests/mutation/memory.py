"""Planted bugs: tails, strides, batches, races, state, side effects, dropout."""

from __future__ import annotations

import torch

from tests.mutation.base import Attention


class LastKeysDropped(Attention):
    """A partial last key tile is not visited."""

    def mask(self, scores, keep):
        whole = max(16, scores.shape[-1] // 16 * 16)
        inside = torch.arange(scores.shape[-1]) < whole
        return super().mask(scores, keep & inside)


class LastQueriesUnwritten(Attention):
    """A partial last query tile keeps whatever memory held."""

    def write(self, name, tensor, dtype):
        result = tensor.to(dtype).clone()
        if name == "out" and tensor.shape[2] > 64 and tensor.shape[2] % 64:
            start = tensor.shape[2] // 64 * 64
            result[:, :, start:] = torch.empty_like(result[:, :, start:])
        return result


class StaleValueTile(Attention):
    """The last head reads the value tile of its neighbour."""

    def output(self, P, v):
        v = v.clone()
        v[:, -1, :16] = v[:, max(v.shape[1] - 2, 0), :16]
        return super().output(P, v)


class OddHeadDimTruncated(Attention):
    """The last column of an odd head dim is not read."""

    def logits(self, q, k, scale):
        even = q.shape[-1] // 2 * 2
        return super().logits(q[..., :even], k[..., :even], scale)


class HeadDimBeyond64Ignored(Attention):
    """Columns from 96 on do not enter the score."""

    def logits(self, q, k, scale):
        return super().logits(q[..., :96], k[..., :96], scale)


class KeysBeyond1000Ignored(Attention):
    """Only the first 1000 keys are visited."""

    def mask(self, scores, keep):
        return super().mask(scores, keep & (torch.arange(scores.shape[-1]) < 1000))


class WrongBeyond512Queries(Attention):
    """From query 512 on the result is slightly scaled."""

    def output(self, P, v):
        out = super().output(P, v)
        return out * (1.0 + 0.05 * (torch.arange(out.shape[2])[:, None] >= 512))


class WrongAt17Keys(Attention):
    """Lengths one above a tile of 16 duplicate a key."""

    def logits(self, q, k, scale):
        if k.shape[2] % 16 == 1 and k.shape[2] > 1:
            k = torch.cat([k[:, :, :-1], k[:, :, -2:-1]], 2)
        return super().logits(q, k, scale)


class QueryStrideBlind(Attention):
    """q is read as if it were contiguous."""

    def read(self, name, tensor):
        if name == "q" and not tensor.is_contiguous() and tensor.stride(-1) == 1:
            shape = tensor.shape
            strides = [shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], 1]
            need = sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) + 1
            held = tensor.untyped_storage().nbytes() // tensor.element_size()
            if tensor.storage_offset() + need <= held:
                return torch.as_strided(tensor, shape, strides).float()
        return tensor.float()


class LastDimStrideBlind(Attention):
    """A last dimension with stride 2 is read with stride 1."""

    def read(self, name, tensor):
        if tensor.dim() == 4 and tensor.stride(-1) == 2:
            return torch.as_strided(tensor, tensor.shape, (*tensor.stride()[:3], 1)).float()
        return tensor.float()


class OffsetBlind(Attention):
    """The storage offset is rounded down to eight elements."""

    def read(self, name, tensor):
        offset = tensor.storage_offset()
        if offset % 8 and tensor.numel():
            return torch.as_strided(tensor, tensor.shape, tensor.stride(), offset // 8 * 8).float()
        return tensor.float()


class SecondBatchWrong(Attention):
    """Batch elements from the second on use the values of the first."""

    def output(self, P, v):
        return super().output(P, v[:1].expand_as(v) if v.shape[0] > 1 else v)


class HeadsBeyond4Wrong(Attention):
    """The fifth head and later ones are averaged with their neighbour."""

    def output(self, P, v):
        out = super().output(P, v)
        if out.shape[1] > 4:
            out[:, 4:] = 0.5 * (out[:, 4:] + out[:, 3:-1])
        return out


class Race(Attention):
    """One call in three loses a row's last addition."""

    def __init__(self):
        self.calls = 0

    def output(self, P, v):
        self.calls += 1
        if self.calls % 3 == 0:
            P = P.clone()
            P[..., -1, P.shape[-1] // 2] = 0.0
        return super().output(P, v)


class RaceInDk(Attention):
    """One backward in three adds a tile of dK twice."""

    def __init__(self):
        self.calls = 0

    def dk(self, dS, q, scale):
        self.calls += 1
        dk = super().dk(dS, q, scale)
        if self.calls % 3 == 0:
            dk[:, :, :8] *= 1.25
        return dk


class ScalesQueryInPlace(Attention):
    """The caller's q is scaled in place and scaled back."""

    def read(self, name, tensor):
        if name == "q":
            with torch.no_grad():
                tensor.data.mul_(1.1)
        return tensor.float()


class DropoutNotRescaled(Attention):
    """Kept probabilities are not divided by 1 - p."""

    def keep_mask(self, P, p):
        return (torch.rand_like(P) >= p).float()


class DropoutRateDoubled(Attention):
    """Twice as many probabilities are dropped as asked."""

    def keep_mask(self, P, p):
        return (torch.rand_like(P) >= min(2 * p, 0.9)).float() / (1.0 - p)


class DropoutIgnored(Attention):
    """Nothing is dropped."""

    def keep_mask(self, P, p):
        return torch.ones_like(P)


class DropoutSameForHeads(Attention):
    """All heads and batch elements drop the same pairs."""

    def keep_mask(self, P, p):
        return super().keep_mask(P[:1, :1], p).expand_as(P)


class DropoutOtherInBackward(Attention):
    """The backward draws its own dropout mask."""

    def backward_dropout(self, Z, p):
        return self.keep_mask(Z, p)


class DropoutInColumnsOnly(Attention):
    """Whole keys are dropped instead of pairs."""

    def keep_mask(self, P, p):
        return super().keep_mask(P[:, :, :1], p).expand_as(P)
