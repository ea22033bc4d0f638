"""One tile of logits and what rounding may do to it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attnprobe.device.alibi import slopes
from attnprobe.device.inputs import Inputs
from attnprobe.device.numerics.arithmetic import U32, Arithmetic
from attnprobe.device.reference.regions import Region


def fold(x: Tensor, groups: int) -> Tensor:
    """(b, Hq, m, .) -> (b, Hkv, G m, .): query heads of one group as rows, so that keys need no copy."""
    b, heads, m = x.shape[:3]
    return x.reshape(b, heads // groups, groups * m, x.shape[3])


@dataclass(frozen=True)
class Logits:
    """Logits of one tile, all float64.

    Args:
        S: (b, Hq, m, n) logits, -inf where masked.
        S0: The scaled product before the soft cap.
        z: The product after it; the same tensor without one.
        keep: Broadcastable bool, True where attended; None when nothing is masked.
        added: Magnitude of what was added (ALiBi, bias); None when nothing was.
    """

    S: Tensor
    S0: Tensor
    z: Tensor
    keep: Tensor | None
    added: Tensor | None


class Scores:
    """The logits of one region, tile by tile.

    Args:
        inputs: The case's tensors.
        region: Which part of them.
        rows: Queries of the region that are wanted, ascending, int64 on the inputs' device.
        drawn: (Bc, Hq, Tq, Tkv) bool: pairs that dropout kept; None without dropout.
        dlse: (Bc, Hq, Tq) gradient of the log-sum-exp; None for 0.
    """

    def __init__(
        self,
        inputs: Inputs,
        region: Region,
        rows: Tensor,
        drawn: Tensor | None = None,
        dlse: Tensor | None = None,
    ) -> None:
        self.inputs, self.region, self.rows, self.drawn = inputs, region, rows, drawn
        self.case, self.groups = inputs.case, inputs.case.groups
        self.scale, self.softcap = self.case.scale, self.case.score.softcap
        self.q = self._queries(inputs.q)
        self.dout = self._queries(inputs.dout)
        self.dlse = None if dlse is None else self._queries(dlse)
        self.alibi = slopes(self.case.Hq).to(self.q.device) if self.case.score.alibi else None

    def _queries(self, x: Tensor) -> Tensor:
        part = x[self.region.batch, :, self.region.q]
        whole = len(self.rows) == self.region.Mq
        return (part if whole else part.index_select(2, self.rows)).double()

    def drop(self, i: slice, j: slice) -> Tensor | None:
        """(b, Hq, m, n) dropout's factor on a tile of probabilities."""
        if self.drawn is None:
            return None
        own = self.drawn[self.region.batch, :, self.region.q, self.region.kv][..., j]
        return own.index_select(2, self.rows[i]).double() / (1.0 - self.case.dropout_p)

    def keys(self, j: slice) -> Tensor:
        """(b, Hkv, n, K) keys of a tile."""
        return self.inputs.k[self.region.batch, :, self.region.kv][:, :, j].double()

    def values(self, j: slice) -> Tensor:
        """(b, Hkv, n, Kv) values of a tile."""
        return self.inputs.v[self.region.batch, :, self.region.kv][:, :, j].double()

    def against(self, left: Tensor, right: Tensor) -> Tensor:
        """Left (b, Hq, m, c) times right (b, Hkv, n, c) transposed: (b, Hq, m, n)."""
        b, heads, m = left.shape[:3]
        return (fold(left, self.groups) @ right.mT).view(b, heads, m, right.shape[2])

    def weigh(self, weights: Tensor, right: Tensor) -> Tensor:
        """Weights (b, Hq, m, n) times right (b, Hkv, n, c): (b, Hq, m, c)."""
        b, heads, m = weights.shape[:3]
        return (fold(weights, self.groups) @ right).view(b, heads, m, right.shape[3])

    def gather(self, weights: Tensor, left: Tensor) -> Tensor:
        """Weights transposed times left (b, Hq, m, c), summed over the group: (b, Hkv, n, c)."""
        return fold(weights, self.groups).mT @ fold(left, self.groups)

    def logits(self, i: slice, j: slice, k: Tensor) -> Logits:
        """The logits of queries `i` (positions in `rows`) and keys `j`."""
        S0 = self.against(self.q[:, :, i], k).mul_(self.scale)
        z = S0 if self.softcap is None else torch.tanh(S0 / self.softcap).mul_(self.softcap)
        keep, S, added = self._mask(i, j), z, None
        if self.alibi is not None:
            diagonal = self.rows[i, None] + self.region.Mkv - self.region.Mq
            distance = (diagonal - torch.arange(j.start, j.stop, device=S0.device)).abs().double()
            added = self.alibi[:, None, None] * distance
            S = S - added
        if self.inputs.bias is not None:
            bias = self._bias(i, j)
            finite = bias != -torch.inf  # an additive mask
            if not bool(finite.all()):
                keep = finite if keep is None else keep & finite
                bias = bias.masked_fill(~finite, 0.0)
            S = S + bias
            added = bias.abs() if added is None else added + bias.abs()
        if keep is not None:
            S = S.masked_fill(~keep, -torch.inf)
        return Logits(S, S0, z, keep, added)

    def _mask(self, i: slice, j: slice) -> Tensor | None:
        if self.case.mask.is_none:
            return None
        keys = torch.arange(j.start, j.stop, device=self.rows.device)
        allowed = self.case.mask.allows(
            self.rows[i, None], keys[None], self.region.Mq, self.region.Mkv
        )
        return None if bool(allowed.all()) else allowed[None, None]

    def _bias(self, i: slice, j: slice) -> Tensor:
        bias = self.inputs.bias
        assert bias is not None
        if bias.shape[0] > 1:
            bias = bias[self.region.batch]
        if bias.shape[2] > 1:
            bias = bias.index_select(2, self.rows[i])
        if bias.shape[3] > 1:
            bias = bias[..., j]
        return bias.double()


def deviation(
    scores: Scores, i: slice, k: Tensor, tile: Logits, top: Tensor, kind: Arithmetic, level: float
) -> Tensor:
    """What inner arithmetic may do to each logit, plus the relative error of its exponential.

    Dot product: `(spread(K) + drift(K)) * s |q|.|k|`, through the soft cap's slope. Everything else that
    float32 holds is rounded a few times: the logit and the running maximum (twice: in the subtraction
    and in the change of base for exp2), what was added, the capped product.

    Args:
        scores: The region.
        i: Queries of the tile.
        k: (b, Hkv, n, K) keys of the tile.
        tile: Its logits.
        top: (b, Hq, m, 1) the rows' maxima.
        kind: The arithmetic.
        level: lambda.
    """
    dot = scores.against(scores.q[:, :, i].abs(), k.abs()).mul_(abs(scores.scale))
    if scores.softcap is not None:
        dot = dot * slope_bound(tile, scores.softcap)
    finite = tile.S if tile.keep is None else tile.S.masked_fill(~tile.keep, 0.0)
    error = dot.mul_(kind.spread(scores.case.K, level) + kind.drift(scores.case.K))
    error += (2.0 * U32) * finite.abs()
    error += (2.0 * U32) * top.abs() + kind.exponential(scores.region.Mkv)
    if scores.softcap is not None:
        error += (kind.tanh + 3.0 * U32) * tile.z.abs()
    if tile.added is not None:
        error += (2.0 * U32) * tile.added
    return error


def slope(tile: Logits, softcap: float) -> Tensor:
    """Derivative of the soft cap: 1 - tanh^2."""
    return 1.0 - (tile.z / softcap) ** 2


def slope_bound(tile: Logits, softcap: float) -> Tensor:
    """The largest derivative within a relative change of 2^-8 of the product.

    d ln(1 - tanh^2 x) / dx = -2 tanh x, so a change by d of the product multiplies the slope by at
    most exp(2 d / softcap); no format in use rounds worse than bfloat16's 2^-8.
    """
    grown = slope(tile, softcap) * torch.exp((tile.S0.abs() * (2.0 * 2.0**-8)) / softcap)
    return grown.clamp_(max=1.0)
