"""Planted bugs: only the backward is wrong."""

from __future__ import annotations

import torch

from tests.mutation.base import Attention


class NoDelta(Attention):
    """D = rowsum(dO * O) is left out."""

    def delta(self, dout, out, P, dP):
        return torch.zeros_like(dP[..., :1])


class DeltaInBfloat16(Attention):
    """D is stored in eight bits."""

    def delta(self, dout, out, P, dP):
        return super().delta(dout, out, P, dP).bfloat16().float()


class DeltaOfFirstHead(Attention):
    """Every head subtracts the first head's D."""

    def delta(self, dout, out, P, dP):
        D = super().delta(dout, out, P, dP)
        return D[:, :1].expand_as(D)


class NoScaleInDk(Attention):
    """dK is not scaled."""

    def dk(self, dS, q, scale):
        return dS.mT @ q


class ScaleTwiceInDq(Attention):
    """dQ is scaled twice."""

    def dq(self, dS, k, scale):
        return (dS @ k) * scale * scale


class DqIsZero(Attention):
    """dQ is never written."""

    def dq(self, dS, k, scale):
        return torch.zeros_like(dS[..., :1] * k[..., :1, :])


class DqTailIsZero(Attention):
    """The last partial query tile of dQ stays zero."""

    def dq(self, dS, k, scale):
        dq = super().dq(dS, k, scale)
        rows = torch.arange(dq.shape[2])[:, None] < max(1, dq.shape[2] // 64 * 64)
        return dq * rows


class DkWrongSign(Attention):
    """dK has the wrong sign in the last head."""

    def dk(self, dS, q, scale):
        dk = super().dk(dS, q, scale)
        return torch.cat([dk[:, :-1], -dk[:, -1:]], 1)


class DkShifted(Attention):
    """dK is written one key too late."""

    def dk(self, dS, q, scale):
        return super().dk(dS, q, scale).roll(1, 2)


class DvGain(Attention):
    """dV is 2^-6 too large."""

    def dv(self, P, dout):
        return super().dv(P, dout) * (1.0 + 2.0**-6)


class DvUnmasked(Attention):
    """dV leaks a little into keys that nobody attends."""

    def dv(self, P, dout):
        return super().dv(P + 1e-5, dout)


class DvInBfloat16(Attention):
    """dV is summed over queries in bfloat16."""

    def dv(self, P, dout):
        total = torch.zeros(*P.shape[:2], P.shape[3], dout.shape[3], dtype=torch.bfloat16)
        for start in range(0, P.shape[2], 8):
            rows = slice(start, start + 8)
            total += (P[:, :, rows].mT @ dout[:, :, rows]).bfloat16()
        return total.float()


class DvMissesLastQuery(Attention):
    """dV does not count the last query."""

    def dv(self, P, dout):
        return super().dv(P[:, :, :-1], dout[:, :, :-1])


class BackwardNotCausal(Attention):
    """The backward recomputes probabilities with one key of the future per row."""

    def dscores(self, P, dP, D):
        leaked = torch.maximum(P, P.roll(1, -1) * 0.05)
        return leaked * (dP - D)


class DbiasNotSummed(Attention):
    """The bias gradient of a broadcast batch is that of the first element."""

    def dbias(self, dS, bias):
        return super().dbias(dS[:1], bias)


class DbiasOfFirstHead(Attention):
    """The bias gradient broadcast over heads is that of the first head."""

    def dbias(self, dS, bias):
        return super().dbias(dS[:, :1] if bias.shape[1] == 1 else dS, bias)


class DbiasScaled(Attention):
    """The bias gradient is multiplied by the softmax scale."""

    def dbias(self, dS, bias):
        return super().dbias(dS * 0.125, bias)


class DbiasMissing(Attention):
    """The bias gets no gradient."""

    def dbias(self, dS, bias):
        return None


class DoutStrideBlind(Attention):
    """The backward reads dO as if it were contiguous."""

    def read(self, name, tensor):
        if name == "dout" and not tensor.is_contiguous() and tensor.stride(-1) == 1:
            return torch.as_strided(tensor, tensor.shape, _contiguous(tensor.shape)).float()
        return tensor.float()


def _contiguous(shape):
    strides = [1]
    for size in reversed(shape[1:]):
        strides.insert(0, strides[0] * size)
    return strides
