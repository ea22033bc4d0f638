"""What the backward must know of every query before it starts."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from attnprobe.device.numerics.arithmetic import U32
from attnprobe.device.numerics.formats import Format
from attnprobe.device.reference import chunked
from attnprobe.device.reference.forward import Forward
from attnprobe.device.reference.weights import Tiles


@dataclass(frozen=True)
class Rows:
    """Per query, float64, (b, Hq, m, 1) each; variances are over u^2 / 3.

    Args:
        safe: Log-sum-exp, 0 for rows without keys.
        top: Maximum, likewise.
        D: Row sum of dout * out, the mean of dP under P, less the log-sum-exp's gradient.
        D_fused: Variance of D taken from an output whose P and whose value were rounded.
        D_unfused: Variance of D taken from stored P and dP, with stored logits.
        shift: Variance of the log-sum-exp from stored logits: what a whole row's P shares.
        scaled: The scaled query's share of it, with which keys of a row move together.
        D_chunked: Variance of D in chunked attention with stored sums.
        chunk_shift: As `shift`, there.
        chunk_shared: As `scaled`, there.
        quotient: Variance of dout over the row sum, there, (b, Hq, m, Kv).
        given: What that does to dP, averaged over the row's keys.
        signed_dout: Signed error of dout there, (b, Hq, m, Kv).
        signed_D: Signed error of D there.
        D_systematic: Per arithmetic, the bound on D's error.
        lse_systematic: Per arithmetic, the bound on the log-sum-exp's error.
    """

    safe: Tensor
    top: Tensor
    D: Tensor
    D_fused: Tensor
    D_unfused: Tensor
    shift: Tensor
    scaled: Tensor
    D_chunked: Tensor
    chunk_shift: Tensor
    chunk_shared: Tensor
    quotient: Tensor
    given: Tensor
    signed_dout: Tensor
    signed_D: Tensor
    D_systematic: tuple[Tensor, ...]
    lse_systematic: tuple[Tensor, ...]

    def at(self, i: slice) -> Rows:
        """The rows of one tile."""
        picked: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            one = isinstance(value, Tensor)
            picked[field.name] = value[:, :, i] if one else tuple(x[:, :, i] for x in value)
        return Rows(**picked)

    @staticmethod
    def join(parts: list[Rows]) -> Rows:
        """All tiles of a region."""
        joined: dict[str, Any] = {}
        for field in fields(Rows):
            values = [getattr(part, field.name) for part in parts]
            if isinstance(values[0], Tensor):
                joined[field.name] = torch.cat(values, 2)
            else:
                joined[field.name] = tuple(torch.cat(x, 2) for x in zip(*values, strict=True))
        return Rows(**joined)


def rows_of(tiles: Tiles, i: slice, keys: list[slice], forward: Forward, form: Format) -> Rows:
    """The rows of one tile of queries."""
    scores = tiles.scores
    g, out = scores.dout[:, :, i], forward.out

    def total(x: Tensor) -> Tensor:
        return x.sum(-1, keepdim=True)

    zero = torch.zeros_like(forward.safe)
    D, from_lse = total(g * out), zero
    if scores.dlse is not None:
        from_lse = scores.dlse[:, :, i, None].masked_fill(~forward.has_keys[..., None], 0.0)
        D = D - from_lse
    D_fused = D_unfused = shift = scaled = zero
    D_chunked = chunk_shift = chunk_shared = quotient = given = signed_dout = signed_D = zero
    if forward.stored is not None and forward.lse_stored is not None:
        floor = 0.0 if forward.floor is None else form.floor**2 * forward.floor
        D_fused = total(g**2 * (out**2 + forward.squares + floor))
        D_unfused, moved, around = _from_products(tiles, i, keys, forward, D, form)
        D_unfused += total(g.abs() * forward.stored.sqrt()) ** 2
        shift = forward.lse_stored[..., None]
        assert forward.scaled is not None
        scaled = forward.scaled[..., None]
        assert forward.lse_chunked is not None
        assert forward.shared is not None
        chunks = chunked.of(scores.region.Mkv)
        chunk_shared = forward.shared[..., None]
        chunk_shift = forward.lse_chunked[..., None] + chunks.sums
        moved += chunk_shared * around
        sizes = (g, out, forward.squares, forward.total)
        D_chunked = chunked.variance_of_mean(*sizes, moved, form.floor, chunks)
        quotient = chunked.quotient(g, forward.total, form.floor, chunks)
        given = total(quotient * forward.second)
        signed = chunked.signed(g, out, forward.row_sum, scores.inputs.q.dtype)
        signed_dout, signed_D = signed.dout, signed.D
    return Rows(
        safe=forward.safe,
        top=forward.top,
        D=D,
        D_fused=D_fused,
        D_unfused=D_unfused,
        shift=shift,
        scaled=scaled,
        D_chunked=D_chunked,
        chunk_shift=chunk_shift,
        chunk_shared=chunk_shared,
        quotient=quotient,
        given=given,
        signed_dout=signed_dout,
        signed_D=signed_D,
        D_systematic=tuple(
            kind.spread(scores.case.Kv, tiles.level) * total(g.abs() * out.abs())
            + total(g.abs() * error)
            + U32 * from_lse.abs()
            for kind, error in zip(tiles.kinds, forward.out_systematic, strict=True)
        ),
        lse_systematic=tuple(error[..., None] for error in forward.lse_systematic),
    )


def _from_products(
    tiles: Tiles, i: slice, keys: list[slice], forward: Forward, D: Tensor, form: Format
) -> tuple[Tensor, Tensor, Tensor]:
    """Variances of D, and the sum of P (dP - D)^2.

    First from stored P and dP: 2 P^2 dP^2 and eta's cross terms; then from logits in chunked attention.
    """
    scores, found = tiles.scores, torch.zeros_like(forward.safe)
    moved, around = torch.zeros_like(found), torch.zeros_like(found)
    for j in keys:
        w = tiles.weights(i, j, forward.safe, forward.top)
        dP = w.dropped(scores.against(scores.dout[:, :, i], w.v))
        dP2, P2, W2 = dP**2, w.P**2, (dP - D) ** 2
        floor = w.kept(form.floor**2)
        found += (2.0 * P2 * dP2 + floor * (P2 + dP2)).sum(-1, keepdim=True)
        if w.chunked is not None:
            moved += (P2 * W2 * w.chunked.own + floor * W2).sum(-1, keepdim=True)
            around += (w.P * W2).sum(-1, keepdim=True)
    return found, moved, around
