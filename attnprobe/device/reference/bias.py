"""The gradient of an added tensor: dS summed over the dimensions in which it broadcasts."""

from __future__ import annotations

from torch import Tensor

from attnprobe.device.numerics.arithmetic import U32
from attnprobe.device.reference.backward import Cotangent
from attnprobe.device.reference.rows import Rows
from attnprobe.device.reference.sums import Sums
from attnprobe.device.reference.weights import Tiles


def to_bias(tiles: Tiles, i: slice, j: slice, t: Cotangent, rows: Rows, sums: Sums) -> None:
    """Adds the tile's share of dbias, in place, to sums of the bias's shape."""
    scores, bias = tiles.scores, tiles.scores.inputs.bias
    assert bias is not None
    summed = tuple(d for d in range(4) if bias.shape[d] == 1)
    case = scores.case
    length = (
        (case.B if bias.shape[0] == 1 else 1)
        * (case.Hq if bias.shape[1] == 1 else 1)
        * (len(scores.rows) if bias.shape[2] == 1 else 1)
        * (scores.region.Mkv if bias.shape[3] == 1 else 1)
    )

    def add(name: str, term: Tensor) -> None:
        if name not in sums:
            sums[name] = scores.q.new_zeros(bias.shape)
        reduced = term.sum(summed, keepdim=True) if summed else term
        target = sums[name][scores.region.batch] if bias.shape[0] > 1 else sums[name]
        target = target[..., j] if bias.shape[3] > 1 else target
        if bias.shape[2] > 1:
            target.index_add_(2, scores.rows[i], reduced)
        else:
            target += reduced

    P2, W2 = t.w.P**2, t.W**2
    floor = t.U2 - t.U**2
    size = t.dS.abs()
    add("truth", t.dS)
    add("squares", t.U2 if t.w.slope is None else t.dS**2 + t.U2)
    for a, (kind, error) in enumerate(zip(tiles.kinds, t.systematic, strict=True)):
        summing = kind.spread(length, tiles.level) + U32
        add(f"systematic {a}", error + t.w.P * rows.D_systematic[a] + summing * size)
    if t.stored is None or t.w.stored is None or t.w.scaled is None:
        return
    if t.chunked is None or t.w.chunked is None:
        return
    add("from_stored", 2.0 * t.dS**2 + floor * (1.0 + W2))
    if t.w.slope is None:
        add("unfused", t.stored)
        add("chunked", t.chunked.stored)
    else:  # dS lies before the soft cap, whose slope shrinks U and its variance
        own = P2 * (t.dP**2 + W2 * (2.0 + t.w.stored)) + floor * (1.0 + P2 + W2)
        add("unfused", own)
        add("chunked", P2 * (t.dP**2 + W2 * (2.0 + t.w.chunked.own)) + floor * (3.0 + W2))
    add("fused_common", P2 * rows.D_fused)
    moving = (t.reach * t.dS) ** 2
    add("unfused_common", P2 * rows.D_unfused + moving * (rows.shift + t.w.scaled))
    moved = moving * (rows.chunk_shift + t.w.chunked.shared)
    add("chunked_common", P2 * (rows.D_chunked + t.chunked.given) + moved)
