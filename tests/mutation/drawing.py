"""Planted bugs in dropout: what is shared, what is forgotten, what the backward draws."""

from __future__ import annotations

import os

import torch

from tests.mutation.base import Attention
from tests.mutation.flash import Flash


class DropoutSameForBatch(Attention):
    """All sequences of a batch lose the same weights."""

    def keep_mask(self, P, p):
        return super().keep_mask(P[:1], p).expand(P.shape)


class DropoutSameInAGroup(Attention):
    """Pairs of heads lose the same weights."""

    def keep_mask(self, P, p):
        pairs = torch.arange(P.shape[1]) // 2
        return super().keep_mask(P, p)[:, pairs]


class DropoutRepeatsEveryRowTile(Flash):
    """The offset into the random numbers forgets the tile of rows."""

    def __init__(self):
        self.rows = 16

    def place(self, g, i, j):
        return g.seed + j


class DropoutRepeatsEveryKeyTile(Flash):
    """The offset into the random numbers forgets the tile of keys."""

    def __init__(self):
        self.keys = 16

    def place(self, g, i, j):
        return g.seed + 65_537 * i


class DropoutBeforeNormalising(Attention):
    """What is left after dropout is normalised to sum to 1."""

    def output(self, P, v):
        return super().output(P / P.sum(-1, keepdim=True).clamp(min=1e-20), v) if (
            self.drawn) else super().output(P, v)  # fmt: skip

    drawn = False

    def keep_mask(self, P, p):
        self.drawn = True
        return super().keep_mask(P, p)


class DropoutScaleMissingInDk(Attention):
    """dS misses 1/(1-p) where it becomes dk."""

    def keep_mask(self, P, p):
        self.kept = 1 - p
        return super().keep_mask(P, p)

    def dk(self, dS, q, scale):
        return super().dk(dS, q, scale) * getattr(self, "kept", 1.0)


class DropoutNotInDelta(Attention):
    """D is that of the output without dropout."""

    def delta(self, dout, out, P, dP):
        return (
            super().delta(dout, out, P, dP)
            if self.p == 0
            else (P * self.plain).sum(-1, keepdim=True)
        )

    p = 0.0

    def keep_mask(self, P, p):
        self.p = p
        return super().keep_mask(P, p)

    def dscores(self, P, dP, D):
        return super().dscores(P, dP, D)

    def backward_dropout(self, Z, p):
        self.plain = (Z == 0).float()
        return Z


class DropoutIgnoresSeed(Attention):
    """Random numbers come from the system: torch.manual_seed and checkpointing have no hold on them."""

    def keep_mask(self, P, p):
        generator = torch.Generator().manual_seed(int.from_bytes(os.urandom(7), "little"))
        return (torch.rand(P.shape, generator=generator) >= p).float() / (1.0 - p)


class DropoutNotInTail(Attention):
    """The last keys, which fill no tile of 16, are never dropped."""

    def keep_mask(self, P, p):
        Z = super().keep_mask(P, p)
        full = P.shape[-1] // 16 * 16
        if full:
            Z[..., full:] = 1.0
        return Z


class DropoutShiftedInBackward(Flash):
    """The backward draws with rows and keys exchanged."""

    def __init__(self):
        self.rows = self.keys = 16

    def backward_drawn(self, g, i, j, p):
        return super().backward_drawn(g, j, i, p)


class DropoutOfLastTileRedrawn(Flash):
    """In the backward the seed of the last tile of keys is one further."""

    def __init__(self):
        self.rows = self.keys = 16

    def backward_drawn(self, g, i, j, p):
        last = j + self.keys >= g.Mkv
        return super().backward_drawn(g, i, j + 1 if last else j, p)


class DropoutThrough8Bits(Attention):
    """The rate is rounded down to a multiple of 1/16, while the factor stays 1/(1-p)."""

    def keep_mask(self, P, p):
        return (torch.rand_like(P) >= int(p * 16) / 16).float() / (1.0 - p)


class DropoutAfterValues(Attention):
    """The output is dropped instead of the weights."""

    def keep_mask(self, P, p):
        self.p = p
        return torch.ones_like(P)

    def output(self, P, v):
        out = super().output(P, v)
        return torch.nn.functional.dropout(out, getattr(self, "p", 0.0))


class DropoutInGradientOfValuesOnly(Attention):
    """dP is not multiplied by the factors."""

    def dscores(self, P, dP, D):
        return super().dscores(P, torch.where(dP == 0, D, dP), D)


class DropoutRateOfFirstCall(Attention):
    """The rate is kept from the first call that had one."""

    def keep_mask(self, P, p):
        self.p = getattr(self, "p", p)
        return super().keep_mask(P, self.p)
