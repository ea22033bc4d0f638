"""Output, log-sum-exp and their error sums, one tile of queries at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attnprobe.device.numerics.arithmetic import U32
from attnprobe.device.numerics.formats import Format
from attnprobe.device.reference import chunked
from attnprobe.device.reference.weights import Tiles


@dataclass(frozen=True)
class Forward:
    """One tile of queries, float64; rows without keys hold zeros (lse: -inf).

    Args:
        out: (b, Hq, m, Kv).
        lse: (b, Hq, m).
        safe: lse with 0 for rows without keys, (b, Hq, m, 1).
        top: The rows' maxima, likewise.
        has_keys: (b, Hq, m) bool.
        out_systematic: Per arithmetic.
        lse_systematic: Per arithmetic, (b, Hq, m).
        squares: Sum of P^2 v^2.
        floor: Sum of v^2 over attended keys, over the squared row sum; None unless eta matters.
        floor_normalised: The same without the row sum.
        spread: Weighted standard deviation of v around out.
        stored: Variance of out over u^2 / 3 from stored logits and scaled queries; None without.
        lse_stored: The same for lse, (b, Hq, m).
        scaled: Sum of P times the variance of the scaled query's share, (b, Hq, m).
        chunked: As `stored`, for attention in chunks.
        lse_chunked: The same for lse, (b, Hq, m).
        shared: As `scaled`, likewise.
        rho_chunked: Signed error of storing the row sum and weighed values there.
        row_sum: As `total`, of stored exponentials of stored logits.
        total: Sum of exp(S - maximum), (b, Hq, m, 1); 1 for rows without keys.
        second: Sum of P v^2.
        worst: |P| |v|, with eta's share.
        rho: Signed error of rounding the exact unnormalised P; None when P is never rounded.
        rho_normalised: The same for the normalised P.
    """

    out: Tensor
    lse: Tensor
    safe: Tensor
    top: Tensor
    has_keys: Tensor
    out_systematic: tuple[Tensor, ...]
    lse_systematic: tuple[Tensor, ...]
    squares: Tensor
    floor: Tensor | None
    floor_normalised: Tensor | None
    spread: Tensor
    stored: Tensor | None
    lse_stored: Tensor | None
    scaled: Tensor | None
    chunked: Tensor | None
    lse_chunked: Tensor | None
    shared: Tensor | None
    rho_chunked: Tensor | None
    row_sum: Tensor
    total: Tensor
    second: Tensor
    worst: Tensor
    rho: Tensor | None
    rho_normalised: Tensor | None


def normaliser(tiles: Tiles, i: slice, keys: list[slice]) -> tuple[Tensor, Tensor]:
    """Row maximum (-inf for rows without keys) and the sum of exp(S - maximum), (b, Hq, m, 1)."""
    shape = (*tiles.scores.q[:, :, i].shape[:3], 1)
    top = tiles.scores.q.new_full(shape, -torch.inf)
    total = tiles.scores.q.new_zeros(shape)
    for j in keys:
        S = tiles.logits(i, j)[1].S
        higher = torch.maximum(top, S.amax(-1, keepdim=True))
        base = higher.masked_fill(higher == -torch.inf, 0.0)
        total = total * torch.exp(top - base) + torch.exp(S - base).sum(-1, keepdim=True)
        top = higher
    return top, total


def forward(tiles: Tiles, i: slice, keys: list[slice], form: Format) -> Forward:
    """Forward of queries `i` over all key tiles that are not wholly masked."""
    scores, level = tiles.scores, tiles.level
    n, Kv = scores.region.Mkv, scores.case.Kv
    top, total = normaliser(tiles, i, keys)
    has = total > 0
    top, total = top.masked_fill(~has, 0.0), total.masked_fill(~has, 1.0)
    lse = top + total.log()
    shape = scores.q[:, :, i].shape[:3]
    zero = scores.q.new_zeros
    sums = zero(*shape, 3 * Kv)  # P [v, |v|, v^2]
    squares = zero(*shape, Kv)
    floor = zero(*shape, Kv)
    rounded = zero(*shape, 2 * Kv)
    logit = zero(*shape, 1 + 2 * Kv)  # P^2 stored [1, v, v^2]
    lowered = zero(*shape, 1 + 2 * Kv)  # P^2 chunked [1, v, v^2]
    scaled, shared, row_sum = zero(*shape), zero(*shape), zero(*shape, 1)
    first = [zero(*shape) for _ in tiles.kinds]
    second = [zero(*shape) for _ in tiles.kinds]
    dtype = scores.inputs.q.dtype
    for j in keys:
        w = tiles.weights(i, j, lse, top)
        v2 = w.v**2
        weight = w.dropped(w.P)
        sums[..., : 2 * Kv] += scores.weigh(weight, torch.cat([w.v, w.v.abs()], -1))
        sums[..., 2 * Kv :] += scores.weigh(w.dropped(weight), v2)
        squares += scores.weigh(weight**2, v2)
        for a, error in enumerate(w.errors):
            weighed = w.P * error
            first[a] += weighed.sum(-1)
            second[a] += weighed.mul_(error).sum(-1)
        if w.stored is None or w.scaled is None or w.chunked is None:
            continue
        if form.floor > FLOOR_MATTERS:
            attended = torch.broadcast_to(torch.as_tensor(w.kept(1.0)), w.P.shape).to(w.P)
            floor += scores.weigh(w.dropped(w.dropped(attended)).contiguous(), v2)
        raw = w.P * total
        raw_error = (raw.to(dtype).double() - raw) / total
        rounded[..., :Kv] += scores.weigh(w.dropped(raw_error), w.v)
        rounded[..., Kv:] += scores.weigh(w.dropped(w.P.to(dtype).double() - w.P), w.v)
        for moved, sums_of in ((w.P**2 * w.stored, logit), (w.P**2 * w.chunked.own, lowered)):
            sums_of[..., :1] += moved.sum(-1, keepdim=True)
            sums_of[..., 1 : Kv + 1] += scores.weigh(w.dropped(moved), w.v)
            sums_of[..., Kv + 1 :] += scores.weigh(w.dropped(w.dropped(moved)), v2)
        scaled += (w.P * w.scaled).sum(-1)
        shared += (w.P * w.chunked.shared).sum(-1)
        row_sum += chunked.exponentials(w.logits.S, top, dtype).sum(-1, keepdim=True)
    out, size, v2 = torch.split(sums, Kv, -1)
    variance = (v2 - out**2).clamp_(min=0.0)
    spread = variance.sqrt()
    systematic = tuple(
        (kind.spread(n, level) + 4.0 * U32) * (size + out.abs())
        + kind.drift(n) * torch.minimum(out.abs() + level * squares.sqrt(), size)
        + error.sqrt()[..., None] * spread
        for kind, error in zip(tiles.kinds, second, strict=True)
    )
    row_sum = row_sum.masked_fill(~has, 1.0)
    reach = 1.0 + lse.abs() + top.abs()
    lse_systematic = tuple(
        error + (kind.spread(n, level) + 4.0 * U32 * reach[..., 0])
        for kind, error in zip(tiles.kinds, first, strict=True)
    )
    stores, rounded_sums = tiles.stores, chunked.of(n).sums
    eta = stores and form.floor > FLOOR_MATTERS
    return Forward(
        out=out,
        lse=lse.masked_fill(~has, -torch.inf)[..., 0],
        safe=lse,
        top=top,
        has_keys=has[..., 0],
        out_systematic=systematic,
        lse_systematic=lse_systematic,
        squares=squares,
        floor=floor / total**2 if eta else None,
        floor_normalised=floor if eta else None,
        spread=spread,
        stored=_around(logit, out) + scaled[..., None] * variance if stores else None,
        lse_stored=logit[..., 0] + scaled if stores else None,
        scaled=scaled if stores else None,
        chunked=_around(lowered, out) + shared[..., None] * variance + rounded_sums * out**2
        if stores
        else None,
        lse_chunked=lowered[..., 0] + shared + rounded_sums if stores else None,
        shared=shared if stores else None,
        rho_chunked=chunked.signed_out(out, row_sum, dtype) if stores else None,
        row_sum=row_sum,
        total=total,
        second=v2,
        worst=size + form.floor * (n * floor).sqrt(),
        rho=rounded[..., :Kv] if stores else None,
        rho_normalised=rounded[..., Kv:] if stores else None,
    )


def _around(sums: Tensor, out: Tensor) -> Tensor:
    """Sum of weights times (v - out)^2 from those of the weights times 1, v and v^2."""
    own, crossed, second = torch.split(sums, [1, out.shape[-1], out.shape[-1]], -1)
    return (second - 2.0 * out * crossed + out**2 * own).clamp_(min=0.0)


FLOOR_MATTERS = 1e-12
"""eta / u of float16 is 2^-14; bfloat16's and float32's vanish beside `Moments.flush`."""
