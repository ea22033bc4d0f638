"""Gradients and their error sums, key tiles outside, query tiles inside."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attnprobe.device.numerics.arithmetic import U32
from attnprobe.device.numerics.formats import Format
from attnprobe.device.reference import chunked
from attnprobe.device.reference.rows import Rows
from attnprobe.device.reference.sums import Sums
from attnprobe.device.reference.weights import Tiles, Weights


@dataclass(frozen=True)
class Cotangent:
    """What flows back into one tile of logits.

    Args:
        w: The tile's probabilities.
        dP: dout v^T, times dropout's factor.
        W: dP - D.
        U: Gradient of the scaled product: slope * P * W.
        dS: Gradient of the logit: P * W (the same tensor without a soft cap).
        reach: How strongly a relative error of P moves U / (P W): the slope and, because the slope
            itself depends on the logit, 2 |tanh| / softcap; 1 without a soft cap.
        systematic: Per arithmetic, the bound on U's error, without that of D and of summation.
        U2: U^2 and eta's share: its variance over u^2 / 3 when it is rounded.
        from_stored: The same when dS is made from the stored P and scaled before it is rounded.
        stored: The same when logits, P, dP and dS are each stored.
        chunked: The same in chunked attention with stored sums, and what belongs to it.
        rho: Signed error of U that rounding the exact P causes: equal P round alike, which a variance
            does not say. All four are None when no contract of this dtype stores anything.
    """

    w: Weights
    dP: Tensor
    W: Tensor
    U: Tensor
    dS: Tensor
    reach: Tensor | float
    systematic: tuple[Tensor, ...]
    U2: Tensor
    from_stored: Tensor | None
    stored: Tensor | None
    chunked: chunked.Cotangent | None
    rho: Tensor | None


def cotangent(tiles: Tiles, i: slice, j: slice, rows: Rows, form: Format) -> Cotangent:
    """The tile's cotangent; `rows` are those of tile `i`."""
    scores, level = tiles.scores, tiles.level
    w = tiles.weights(i, j, rows.safe, rows.top)
    g = scores.dout[:, :, i]
    dP = w.dropped(scores.against(g, w.v))
    W = dP - rows.D
    dS = w.P * W
    U = dS if w.slope is None else dS * w.slope
    tangent: Tensor | float = 1.0
    bend: Tensor | float = 0.0
    if w.slope is not None:
        assert scores.softcap is not None
        tangent, bend = w.slope, (2.0 / scores.softcap**2) * w.logits.z.abs()
    size = dS.abs()
    scale_dP = w.P * tangent * w.dropped(scores.against(g.abs(), w.v.abs()))
    systematic = tuple(
        size * (tangent * (error + shift) + bend * error + 3.0 * U32)
        + (kind.spread(scores.case.Kv, level) + kind.drift(scores.case.Kv)) * scale_dP
        for kind, error, shift in zip(tiles.kinds, w.errors, rows.lse_systematic, strict=True)
    )
    floor = w.kept(form.floor**2)
    U2 = U**2 + floor
    from_stored = stored = in_chunks = rho = None
    if w.stored is not None and w.chunked is not None:
        P2, W2, tangent2 = w.P**2, W**2, tangent**2
        # a scale below 1 brings dS closer to the subnormals: eta counts 1 / scale times
        small = max(1.0, scores.scale**-2) if scores.scale else 1.0
        from_stored = 2.0 * U**2 + floor * (small + tangent2 * W2)
        stored = P2 * (tangent2 * (dP**2 + W2) + (tangent + bend) ** 2 * W2 * w.stored)
        stored += U2 + floor * tangent2 * (P2 + W2)
        own = P2 * (tangent2 * (dP**2 + W2) + (tangent + bend) ** 2 * W2 * w.chunked.own)
        carried = w.dropped(scores.against(rows.signed_dout, w.v)) - rows.signed_D
        in_chunks = chunked.Cotangent(
            stored=own + U2 + floor * tangent2 * (2.0 + W2),
            given=w.dropped(w.dropped(scores.against(rows.quotient, w.v**2))),
            rho=carried * w.P * tangent,
        )
        rho = (w.P.to(scores.inputs.q.dtype).double() - w.P) * W * tangent
    return Cotangent(
        w=w,
        dP=dP,
        W=W,
        U=U,
        dS=dS,
        reach=tangent + bend,
        systematic=systematic,
        U2=U2,
        from_stored=from_stored,
        stored=stored,
        chunked=in_chunks,
        rho=rho,
    )


def to_queries(tiles: Tiles, t: Cotangent, sums: Sums) -> None:
    """Adds the tile's share of dq (without the factor s)."""
    scores, n = tiles.scores, tiles.scores.region.Mkv
    k, k2 = t.w.k, t.w.k**2
    flat = t.w.P if t.w.slope is None else t.w.P * t.w.slope
    size = t.U.abs()
    sums.add("truth", scores.weigh(t.U, k))
    sums.add("mean key", scores.weigh(flat, k))
    sums.add("squares", scores.weigh(t.U2, k2))
    for a, (kind, error) in enumerate(zip(tiles.kinds, t.systematic, strict=True)):
        bound = error + kind.spread(n, tiles.level) * size
        sums.add(f"systematic {a}", scores.weigh(bound, k.abs()))
    if t.stored is not None and t.from_stored is not None and t.rho is not None:
        sums.add("rho", scores.weigh(t.rho, k))
        sums.add("from_stored", scores.weigh(t.from_stored, k2))
        sums.add("unfused", scores.weigh(t.stored, k2))
        sums.add("scaled", scores.weigh(t.w.P * (t.reach * t.W) ** 2, k2))
    if t.chunked is not None:
        sums.add("rho_chunked", scores.weigh(t.chunked.rho, k))
        sums.add("chunked", scores.weigh(t.chunked.stored, k2))
        sums.add("second key", scores.weigh(flat if t.w.slope is None else flat * t.w.slope, k2))


def finish_queries(tiles: Tiles, sums: Sums, rows: Rows) -> dict[str, Tensor]:
    """Bounds of dq, all tiles added: D's error moves a row along its mean key."""
    s, n = tiles.scores.scale, tiles.scores.region.Mkv
    dq, mean_key, root = s * sums["truth"], sums["mean key"], abs(s) * sums["squares"].sqrt()
    found = {"truth": dq, "squares": root}
    for a, kind in enumerate(tiles.kinds):
        bound = sums[f"systematic {a}"] + rows.D_systematic[a] * mean_key.abs()
        drift = kind.drift(n) * (dq.abs() + tiles.level * root)
        found[f"systematic {a}"] = abs(s) * bound + drift
    if tiles.stores:
        m2 = mean_key**2
        moved = rows.D_fused * m2
        found["fused"] = abs(s) * (sums["squares"] + moved).sqrt()
        found["from_stored"] = abs(s) * (sums["from_stored"] + moved).sqrt()
        shared = rows.D_unfused * m2 + rows.scaled * sums["scaled"]
        variance = s * s * (sums["unfused"] + shared) + rows.shift * dq**2
        found["unfused"] = variance.sqrt()
        shared = rows.D_chunked * m2 + rows.chunk_shared * sums["scaled"]
        variance = sums["chunked"] + shared + rows.given * sums["second key"]
        found["chunked"] = (s * s * variance + rows.chunk_shift * dq**2).sqrt()
        found["rho"] = s * sums["rho"]
        found["rho_chunked"] = s * sums["rho_chunked"]
    return found


def to_keys(tiles: Tiles, i: slice, t: Cotangent, rows: Rows, sums: Sums) -> None:
    """Adds the tile's share of dk (without the factor s)."""
    scores = tiles.scores
    q = scores.q[:, :, i]
    q2, size = q**2, t.U.abs()
    flat = t.w.P if t.w.slope is None else t.w.P * t.w.slope
    sums.add("truth", t.U.mT @ q)
    sums.add("squares", scores.gather(t.U2, q2))
    length = scores.groups * len(scores.rows)
    for a, (kind, error) in enumerate(zip(tiles.kinds, t.systematic, strict=True)):
        bound = error + flat * rows.D_systematic[a] + kind.spread(length, tiles.level) * size
        sums.add(f"systematic {a}", scores.gather(bound, q.abs()))
    if t.stored is None or t.from_stored is None or t.rho is None or t.w.scaled is None:
        return
    sums.add("rho", scores.gather(t.rho, q))
    sums.add("from_stored", scores.gather(t.from_stored, q2))
    sums.add("unfused", scores.gather(t.stored, q2))
    both = scores.gather(flat**2, torch.cat([rows.D_fused * q2, rows.D_unfused * q2], -1))
    fused_common, unfused_common = torch.split(both, q.shape[-1], -1)
    moving = (t.reach * t.dS) ** 2
    moved = moving * (rows.shift + t.w.scaled)
    sums.add("fused_common", fused_common)
    sums.add("unfused_common", unfused_common + scores.gather(moved, q2))
    if t.chunked is not None and t.w.chunked is not None:
        sums.add("rho_chunked", scores.gather(t.chunked.rho, q))
        sums.add("chunked", scores.gather(t.chunked.stored, q2))
        # the query in this product is the stored, scaled one
        moved = moving * (rows.chunk_shift + t.w.chunked.shared + 1.0)
        moved += flat**2 * (rows.D_chunked + t.chunked.given)
        sums.add("chunked_common", scores.gather(moved, q2))


def to_values(tiles: Tiles, i: slice, t: Cotangent, rows: Rows, sums: Sums, form: Format) -> None:
    """Adds the tile's share of dv."""
    scores, w = tiles.scores, t.w
    g = scores.dout[:, :, i]
    g2, size = g**2, g.abs()
    P = w.dropped(w.P)
    P2, floor = P**2, w.kept(form.floor**2)
    sums.add("truth", P.mT @ g)
    sums.add("squares", scores.gather(P2 + floor, g2))
    length = scores.groups * len(scores.rows)
    for a, kind in enumerate(tiles.kinds):
        each = w.errors[a] + rows.lse_systematic[a] + (kind.spread(length, tiles.level) + 2 * U32)
        sums.add(f"systematic {a}", scores.gather(P * each, size))
    if w.stored is None or w.scaled is None or w.chunked is None:
        return
    sums.add("unfused", scores.gather(P2 * (1.0 + w.stored) + floor, g2))
    sums.add("unfused_common", scores.gather(P2 * (rows.shift + w.scaled), g2))
    sums.add("chunked", scores.gather(P2 * w.chunked.own + floor, g2))
    common = rows.chunk_shift * g2 + rows.quotient
    sums.add("chunked_common", scores.gather(P2, common) + scores.gather(P2 * w.chunked.shared, g2))
    sums.add("rho_chunked", scores.gather(P, rows.signed_dout))
    sums.add("worst", scores.gather(P + w.kept(form.floor), size))
    dtype = scores.inputs.q.dtype
    sums.add("rho", scores.gather(w.dropped(w.P.to(dtype).double() - w.P), g))


def finish_keys(tiles: Tiles, sums: Sums, factor: float) -> dict[str, Tensor]:
    """Dk or dv of one key tile with its bounds; `factor` is s for dk, 1 for dv."""
    scores = tiles.scores
    flat = sums["truth"] * factor
    heads = flat.view(flat.shape[0], -1, scores.groups, *flat.shape[2:])
    truth, root = heads.sum(2), abs(factor) * sums["squares"].sqrt()
    found = {"truth": truth, "squares": root}
    length = scores.groups * len(scores.rows)
    for a, kind in enumerate(tiles.kinds):
        drift = kind.drift(length) * (truth.abs() + tiles.level * root)
        found[f"systematic {a}"] = abs(factor) * sums[f"systematic {a}"] + drift
    variances = ("from_stored", "unfused", "chunked")
    for name in (*variances, "fused_common", "unfused_common", "chunked_common"):
        if name in sums:
            found[name] = abs(factor) * sums[name].sqrt()
    for name in ("worst", "rho", "rho_chunked"):
        if name in sums:
            found[name] = factor * sums[name]
    if scores.groups > 1:
        found["heads"] = (heads**2).sum(2).sqrt()
    return found
