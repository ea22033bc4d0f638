"""One tile of probabilities with the error terms that forward and backward share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attnprobe.device.numerics import formats
from attnprobe.device.numerics.arithmetic import Arithmetic
from attnprobe.device.reference import chunked
from attnprobe.device.reference.scores import Logits, Scores, deviation, slope


@dataclass(frozen=True)
class Weights:
    """Probabilities of one tile.

    Args:
        k: (b, Hkv, n, K) keys.
        v: (b, Hkv, n, Kv) values.
        logits: The tile's logits.
        P: (b, Hq, m, n) probabilities, 0 where masked.
        errors: Per arithmetic, the bound on the relative error of each probability.
        slope: Derivative of the soft cap; None without one.
        stored: Variance of a logit, over u^2 / 3, when every step towards it is stored; None when
            no contract of this dtype stores them.
        scaled: The same for rounding the scaled query, which all keys of a row share.
        chunked: Both for attention in chunks; None likewise.
        drop: Dropout's factor, 0 or 1 / (1 - p), same shape as P; None without dropout.
    """

    k: Tensor
    v: Tensor
    logits: Logits
    P: Tensor
    errors: tuple[Tensor, ...]
    slope: Tensor | None
    stored: Tensor | None
    scaled: Tensor | None
    chunked: chunked.Logits | None
    drop: Tensor | None = None

    def dropped(self, x: Tensor) -> Tensor:
        """X times dropout's factor."""
        return x if self.drop is None else x * self.drop

    def kept(self, value: float) -> Tensor | float:
        """`value` where attended and 0 where masked."""
        return value if self.logits.keep is None else self.logits.keep.double() * value


class Tiles:
    """Weights of one region's tiles; the latest is kept, so that a region of one tile is done once.

    Args:
        scores: The region's logits.
        kinds: Arithmetics whose error bounds are wanted.
        level: lambda.
        stores: True when variances of stored intermediates are wanted (16-bit inputs).
    """

    def __init__(
        self, scores: Scores, kinds: tuple[Arithmetic, ...], level: float, stores: bool
    ) -> None:
        self.scores, self.kinds, self.level, self.stores = scores, kinds, level, stores
        self._logits: tuple[tuple[int, int], tuple[Tensor, Logits]] | None = None
        self._weights: tuple[tuple[int, int], Weights] | None = None

    def logits(self, i: slice, j: slice) -> tuple[Tensor, Logits]:
        """Keys and logits of a tile."""
        key = (i.start, j.start)
        if self._logits is None or self._logits[0] != key:
            self._logits = None  # frees the former tile first
            k = self.scores.keys(j)
            self._logits = key, (k, self.scores.logits(i, j, k))
        return self._logits[1]

    def weights(self, i: slice, j: slice, lse: Tensor, top: Tensor) -> Weights:
        """Probabilities of a tile, given its rows' log-sum-exp and maximum, finite, (b, Hq, m, 1)."""
        key = (i.start, j.start)
        if self._weights is None or self._weights[0] != key:
            self._weights = None
            self._weights = key, self._make(i, j, lse, top)
        return self._weights[1]

    def _make(self, i: slice, j: slice, lse: Tensor, top: Tensor) -> Weights:
        scores, softcap = self.scores, self.scores.softcap
        k, logits = self.logits(i, j)
        P = torch.exp(logits.S - lse)  # exp(-inf) is 0: masked pairs need no second look
        errors = tuple(
            deviation(scores, i, k, logits, top, kind, self.level) for kind in self.kinds
        )
        tangent = None if softcap is None else slope(logits, softcap)
        stored = scaled = in_chunks = None
        if self.stores:
            stored, scaled = self._stored(i, k, logits, tangent)
            several = chunked.of(scores.region.Mkv)
            in_chunks = chunked.logits(stored, scaled, logits.S - top, logits.keep, several)
        return Weights(
            k=k,
            v=scores.values(j),
            logits=logits,
            P=P,
            errors=errors,
            slope=tangent,
            stored=stored,
            scaled=scaled,
            chunked=in_chunks,
            drop=scores.drop(i, j),
        )

    def _stored(
        self, i: slice, k: Tensor, logits: Logits, tangent: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """One variance per stored step: product, scaling, (divide, tanh, multiply), addition.

        Both are those of the probability rather than of the logit: `beyond_first_order`.
        """
        scores = self.scores
        linear = logits.S0**2
        scaled = scores.against(scores.q[:, :, i] ** 2, k**2).mul_(scores.scale**2)
        if tangent is not None:
            linear, scaled = 1.5 * linear * tangent**2, scaled * tangent**2
        stored = 2.0 * linear
        if tangent is not None:
            stored += 2.0 * logits.z**2
        if logits.added is not None:
            finite = logits.S if logits.keep is None else logits.S.masked_fill(~logits.keep, 0.0)
            stored += finite**2
        u = formats.of(scores.case.dtype).u
        grown = beyond_first_order(self.level * u * ((stored + scaled) / 3.0).sqrt())
        return stored * grown, scaled * grown


def beyond_first_order(reach: Tensor) -> Tensor:
    """What a logit's variance is multiplied with so that lambda sigma bounds the error of exp.

    A logit that is off by up to x = lambda sigma moves its probability by up to a factor e^x - 1, not x.
    They part where logits are large: in bfloat16 numbers above 128 are a whole apart.

    Args:
        reach: x, not negative.

    Returns:
        ((e^x - 1) / x)^2, 1 at 0. Beyond x = 40 no probability is evidence, and e^x would overflow.
    """
    x = reach.clamp(1e-9, 40.0)
    return (torch.expm1(x) / x) ** 2
