"""Three looks at one error: every element, groups of elements, and the gain."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from attnprobe.core.parity import Spot
from attnprobe.device.numerics.arithmetic import ALPHA
from attnprobe.device.numerics.bounds import Bound

TINY = 1e-300
"""Keeps 0 / 0 out of ratios; far below any bound (`Moments.flush` is not)."""


@dataclass(frozen=True)
class Look:
    """The worst ratio of one level.

    Args:
        level: element, group or gain.
        ratio: Error over limit; 1 is allowed, more is not.
        index: Canonical index of the worst element, for level element.
        where: Which group was worst: head, 16 rows, row, channel.
    """

    level: str
    ratio: float
    index: tuple[int, ...] = ()
    where: str = ""


@dataclass(frozen=True)
class Limits:
    """Everything of a bound that does not depend on what a backend returned.

    Args:
        truth: The reference, 0 where not compared.
        tolerance: Per element.
        groups: By kind of group, the largest root of the summed squared error.
        pull: Weights of the least-squares slope of the error on the truth.
        slopes: Largest slopes, per head and over all, not divided by the sum of weights.
    """

    truth: Tensor
    tolerance: Tensor
    groups: dict[str, Tensor]
    pull: Tensor
    slopes: tuple[Tensor, Tensor]

    @property
    def resolution(self) -> float:
        """RMS of the tolerance over RMS of the truth."""
        size, room = float(self.truth.norm()), float(self.tolerance.norm())
        return room / size if size else (math.inf if room else 0.0)

    def element(self, error: Tensor) -> Look:
        """The worst single element."""
        ratio = error.abs() / (self.tolerance + TINY)
        position = int(ratio.argmax())
        index = tuple(int(n) for n in torch.unravel_index(torch.tensor(position), ratio.shape))
        return Look("element", float(ratio.flatten()[position]), index)

    def group(self, error: Tensor) -> Look:
        """The worst root-mean-square over a head, 16 rows, one row or one channel."""
        sums = _sums(error**2)
        ratios = {
            name: float((sums[name].sqrt() / (limit + TINY)).max())
            for name, limit in self.groups.items()
        }
        worst = max(ratios, key=lambda name: ratios[name])
        return Look("group", ratios[worst], where=worst)

    def gain(self, error: Tensor) -> Look:
        """The slope of the error on the truth, per head and over all.

        Catches an output that is right but for a factor like 1 + 2^-6, which single elements hide.
        """
        slope = (self.pull * error).sum((2, 3))
        heads, total = self.slopes
        worst = max(
            float((slope.abs() / (heads + TINY)).max()),
            float(slope.sum().abs() / (total + TINY)),
        )
        return Look("gain", worst)

    def spot(self, look: Look, error: Tensor) -> Spot:
        """Where a look saw its worst ratio, as a number that can be had without any bound."""
        if look.level == "element":
            place = ", ".join(map(str, look.index))
            return Spot(place, float(error[look.index].abs()), float(self.tolerance[look.index]))
        if look.level == "group":
            norms, allowed = _sums(error**2)[look.where].sqrt(), self.groups[look.where]
            ratio = norms / (allowed + TINY)
            at = tuple(int(n) for n in torch.unravel_index(ratio.argmax(), ratio.shape))
            forms = {"head": "{}, {}", "16 rows": "{}, {}, {}:{}", "channel": "{}, {}, :, {}"}
            numbers = (*at[:2], 16 * at[2], 16 * at[2] + 16) if look.where == "16 rows" else at
            place = forms.get(look.where, "{}, {}, {}").format(*numbers)
            return Spot(place, float(norms[at]), float(allowed[at]))
        slope = (self.pull * error).sum((2, 3)).abs() / (self.slopes[0] + TINY)
        alone = bool(slope.max() >= look.ratio)
        b, h = (int(i) for i in torch.unravel_index(slope.argmax(), slope.shape))
        truth, e = (self.truth[b, h], error[b, h]) if alone else (self.truth, error)
        gain = float((e * truth).sum() / truth.square().sum())
        return Spot(f"{b}, {h}" if alone else "...", gain, abs(gain) / look.ratio)

    def worst(self, error: Tensor) -> tuple[Look, Look, Look]:
        """All three."""
        return self.element(error), self.group(error), self.gain(error)


def limits(b: Bound, level: float, columns_alike: bool) -> Limits:
    """The limits that follow from a bound.

    Args:
        b: The bound, zero where not compared.
        level: lambda.
        columns_alike: True when columns may repeat each other, so that errors of a row are one error.
    """
    own = b.own()
    pull = b.truth / (own + b.row + b.common + b.systematic**2 + TINY)
    return Limits(
        truth=b.truth,
        tolerance=b.element(level),
        groups=_group_limits(b, own, columns_alike),
        pull=pull,
        slopes=_slope_limits(b, own, pull),
    )


def _sums(x: Tensor, shared: bool = False) -> dict[str, Tensor]:
    """Sums over every kind of group; `shared` squares each row's sum first: one error has it all."""
    rows = x.sum(3)
    rows = rows**2 if shared else rows
    padded = functional.pad(rows, (0, -rows.shape[2] % 16))
    return {
        "head": rows.sum(2),
        "16 rows": padded.view(*padded.shape[:2], -1, 16).sum(-1),
        "row": rows,
        "channel": (x**2 if shared else x).sum(2),
    }


def _tail(first: Tensor, second: Tensor, x: float) -> Tensor:
    """Upper tail of a weighted chi-square: Laurent and Massart, Ann. Statist. 28(5), 2000, lemma 1."""
    root = second.sqrt()
    return first + 2.0 * math.sqrt(x) * root + 2.0 * x * root


def _group_limits(b: Bound, own: Tensor, columns_alike: bool) -> dict[str, Tensor]:
    """By Minkowski the norm of an error is at most the sum of the norms of its parts.

    Independent and row-shared errors count by their chi-square tails (but not below what rounding the
    exact values alone gives), common errors with one degree of freedom, systematic errors in full.
    """
    single, row, common = _sums(own), _sums(b.row), _sums(b.common)
    single2 = _sums(own, shared=True) if columns_alike else _sums(own**2)
    row2 = _sums(b.row, shared=True)
    systematic, rho, rounded = _sums(b.systematic**2), _sums(b.rho**2), _sums(b.rounded**2)
    found = {}
    for name in single:
        x = math.log(4.0 * max(single[name].numel(), 1) / ALPHA)
        found[name] = (
            torch.maximum(_tail(single[name], single2[name], x), rounded[name]).sqrt()
            + torch.maximum(_tail(row[name], row2[name], x), rho[name]).sqrt()
            + math.sqrt(1.0 + 2.0 * math.sqrt(x) + 2.0 * x) * common[name].sqrt()
            + systematic[name].sqrt()
        )
    return found


def _slope_limits(b: Bound, own: Tensor, pull: Tensor) -> tuple[Tensor, Tensor]:
    """Tails of the slope: independent, row-shared and common parts, systematic ones in full."""
    size = pull.abs()
    parts = (
        (size**2 * own).sum((2, 3)),
        ((size * b.row.sqrt()).sum(3) ** 2).sum(2),
        (size * b.common.sqrt()).sum((2, 3)),
        (size * b.systematic).sum((2, 3)),
        (pull * b.rho).sum((2, 3)),
        (pull * b.rounded).sum((2, 3)),
    )

    def limit(parts: tuple[Tensor, ...], count: int) -> Tensor:
        single, row, common, systematic, rho, rounded = parts
        x = math.sqrt(2.0 * math.log(4.0 * max(count, 1) / ALPHA))
        noise = x * (single.sqrt() + row.sqrt() + common)
        return noise + systematic + rho.abs() + rounded.abs()

    return limit(parts, parts[0].numel()), limit(tuple(x.sum() for x in parts), 1)
