"""What attention in chunks rounds beyond plain attention when its sums stay in the storage type.

The forward of Rabe and Staats (arXiv:2112.05682) written with tensor operations, differentiated by
autograd: e = exp(S - max) of a chunk of keys, l = sum e, out = sum e v / sum l, every result stored.
Source: memory-efficient-attention-pytorch@0.1.6:memory_efficient_attention.py and
torch@2.13:torch/csrc/autograd/FunctionsManual.cpp, `div_tensor_other_grad`.

Per row and in units of u^2 / 3, beside what plain attention stores:

- The difference to the maximum and the exponential are stored: X = (S - max)^2 + 1 more per logit. e is
  summed as it was rounded, so what all keys of a row share cancels.
- l is stored: with it the whole row of P moves, and D on top of that. out and dP are divided by the same
  l, so dS = P (dP - D) becomes (1 - a) P (dP - (1 - a) D): a dS and a P D, which may add up: 2 each.
- D = l rowsum(dout * ((out / l))) is made of stored out (twice rounded), quotient and product: 4 per
  element, and its sum is stored: D^2. Its error moves dq along the row's mean key.
- dout / l is stored: an error of dP that all keys of a row share, given_j = sum_c dout_c^2 v_jc^2. In dq
  it is at most sqrt(sum P given) sqrt(sum P k^2) (Cauchy-Schwarz).
- Several chunks are brought to one maximum with a stored factor: a logit's error X that the keys of a
  chunk share, two more roundings of each sum, one more of dout / l.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

KEYS = 1024
"""Keys per chunk, the package's default; fewer keys are one chunk, which needs no common maximum."""

QUERIES = 512
"""Queries per chunk, likewise."""


@dataclass(frozen=True)
class Chunks:
    """How often something is rounded, given how many keys there are.

    Args:
        several: More than one chunk of keys.
    """

    several: bool

    @property
    def sums(self) -> int:
        """Roundings of a row sum: itself; times the factor, added over chunks."""
        return 3 if self.several else 1

    @property
    def products(self) -> int:
        """Roundings of each product in D; with chunks the factor and the sum of partial outputs too."""
        return 6 if self.several else 4

    @property
    def row_errors(self) -> int:
        """Roundings of D as a whole: itself (times the factor), and twice each of the row sum's."""
        return (2 if self.several else 1) + 2 * self.sums

    @property
    def quotients(self) -> int:
        """Roundings of dout / l (times the factor)."""
        return 2 if self.several else 1


def of(Mkv: int) -> Chunks:
    """The roundings for rows of Mkv keys."""
    return Chunks(Mkv > KEYS)


def quotient(dout: Tensor, total: Tensor, floor: float, chunks: Chunks) -> Tensor:
    """Variance of the stored dout / l, per element, over u^2 / 3 and times l^2.

    Args:
        dout: (b, Hq, m, Kv).
        total: l, the sum of exp(S - max), (b, Hq, m, 1).
        floor: eta / u: what is stored is l times smaller than what is meant.
        chunks: How many roundings.
    """
    return chunks.quotients * (dout**2 + (floor * total) ** 2)


def variance_of_mean(
    dout: Tensor,
    out: Tensor,
    partial: Tensor,
    total: Tensor,
    moved: Tensor,
    floor: float,
    chunks: Chunks,
) -> Tensor:
    """Variance of D, (b, Hq, m, 1), over u^2 / 3.

    Args:
        dout: (b, Hq, m, Kv).
        out: The same shape.
        partial: Sum of P^2 v^2, the same shape: how large sums over chunks are beside the final value.
        total: l, (b, Hq, m, 1).
        moved: What errors of logits do to D, (b, Hq, m, 1).
        floor: eta / u.
        chunks: How many roundings.
    """
    size = out**2 + partial if chunks.several else out**2
    g2 = dout**2
    terms = chunks.products * (g2 * size).sum(-1, keepdim=True)
    D = (dout * out).sum(-1, keepdim=True)
    small = (floor * total) ** 2 * (g2 + 2.0).sum(-1, keepdim=True)
    return moved + terms + chunks.row_errors * D**2 + small


@dataclass(frozen=True)
class Signed:
    """Errors that storing exact values causes: equal rows round alike, which no variance says.

    Args:
        dout: Of dout, from its quotient and the row sum.
        D: Of D, (b, Hq, m, 1).
    """

    dout: Tensor
    D: Tensor


def exponentials(S: Tensor, top: Tensor, dtype: torch.dtype) -> Tensor:
    """exp(S - top) with every step stored: where logits are close, their sum is foreseen by this."""
    below = _stored(_stored(S, dtype) - _stored(top, dtype), dtype)
    return _stored(torch.exp(below), dtype)


def signed(dout: Tensor, out: Tensor, total: Tensor, dtype: torch.dtype) -> Signed:
    """The stored row sum, quotient and products, one after the other, from exact P and out."""
    row_sum = _stored(total, dtype)
    quotient = _stored(dout / row_sum, dtype) * total
    twice = _stored(_stored(out + signed_out(out, total, dtype), dtype) / row_sum, dtype)
    D = _stored(_stored(dout * twice, dtype).sum(-1, keepdim=True), dtype) * total
    return Signed(_finite(quotient - dout), _finite(D - (dout * out).sum(-1, keepdim=True)))


def signed_out(out: Tensor, total: Tensor, dtype: torch.dtype) -> Tensor:
    """The same for the output before it is stored itself: weighed values and row sum stored."""
    return _finite(_stored(out * total, dtype) / _stored(total, dtype) - out)


def _stored(x: Tensor, dtype: torch.dtype) -> Tensor:
    return x.to(dtype).double()


def _finite(x: Tensor) -> Tensor:
    """What overflows is an error that no bound should excuse."""
    return x.nan_to_num(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Logits:
    """Variances of one tile's logits, over u^2 / 3.

    Args:
        own: The rounding of the exponential included.
        shared: What keys of a row share: the scaled query, and the factor of a chunk.
    """

    own: Tensor
    shared: Tensor


def logits(
    stored: Tensor, scaled: Tensor, below: Tensor, keep: Tensor | None, chunks: Chunks
) -> Logits:
    """From the variances of plain attention (`stored`, `scaled`) and S - max, `below`."""
    if keep is not None:
        below = below.masked_fill(~keep, 0.0)
    lowered = below**2 + torch.ones_like(below)
    return Logits(stored + lowered, scaled + lowered if chunks.several else scaled)


@dataclass(frozen=True)
class Cotangent:
    """One tile of what flows back.

    Args:
        stored: Variance of U over u^2 / 3.
        given: Variance of dP that all keys of a row share.
        rho: Signed error of U from storing exact row sums, dout over them, and D.
    """

    stored: Tensor
    given: Tensor
    rho: Tensor
