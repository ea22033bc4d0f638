"""Three looks at one error: every element, groups of elements, and the gain."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from attnprobe.device.numerics.arithmetic import ALPHA
from attnprobe.device.numerics.bounds import Bound

TINY = 1e-300
"""Keeps 0 / 0 out of ratios; far below any bound (`Moments.flush` is not)."""


@dataclass(frozen=True)
class Look:
    """The worst ratio of one level.

    Args:
        level: element, group or gain.
        ratio: Error over bound; 1 is the limit.
        index: Canonical index of the worst element, for level element.
        where: Which group was worst: head, block of 16 rows, row, channel.
    """

    level: str
    ratio: float
    index: tuple[int, ...] = ()
    where: str = ""


def element(error: Tensor, tolerance: Tensor) -> Look:
    """The worst single element."""
    if error.numel() == 0:
        return Look("element", 0.0)
    ratio = error.abs() / (tolerance + TINY)
    position = int(ratio.argmax())
    worst = float(ratio.flatten()[position])
    index = []
    for size in reversed(ratio.shape):
        index.append(position % size)
        position //= size
    return Look("element", worst, tuple(reversed(index)))


def _tail(first: Tensor, second: Tensor, x: float) -> Tensor:
    """Upper tail of a weighted chi-square: Laurent and Massart, Ann. Statist. 28(5), 2000, lemma 1."""
    root = second.sqrt()
    return first + 2.0 * math.sqrt(x) * root + 2.0 * x * root


def group(error: Tensor, b: Bound, columns_alike: bool) -> Look:
    """The worst root-mean-square over a head, 16 rows, one row or one channel.

    By Minkowski the norm of the error is at most the sum of the norms of its parts: independent and
    row-shared errors by their chi-square tails (but not below what rounding the exact values alone
    gives), common errors with one degree of freedom, systematic errors in full.

    Args:
        error: Zero where not compared, like the bound's parts.
        b: The bounds.
        columns_alike: True when columns may repeat each other, so that errors of a row are one error.
    """
    if error.numel() == 0:
        return Look("group", 0.0)
    own = b.own()
    squares = (error**2, own, own**2, b.row, b.row**2, b.common, b.systematic**2, b.rho**2)
    parts = (*squares, b.rounded**2)
    rows = [part.sum(3) for part in parts]
    if columns_alike:
        rows[2] = rows[1] ** 2
    rows[4] = (
        rows[3] ** 2
    )  # what the columns of a row share is one error with the row's whole variance
    looks = (
        _look([x.sum(2) for x in rows], "head"),
        _look([_blocks(x) for x in rows], "16 rows"),
        _look(rows, "row"),
        _look([part.sum(2) for part in parts], "channel"),
    )
    return max(looks, key=lambda found: found.ratio)


def _look(sums: list[Tensor], where: str) -> Look:
    e2, own, own2, row, row2, common, systematic2, rho2, rounded2 = sums
    x = math.log(4.0 * e2.numel() / ALPHA)
    limit = (
        torch.maximum(_tail(own, own2, x), rounded2).sqrt()
        + torch.maximum(_tail(row, row2, x), rho2).sqrt()
        + math.sqrt(1.0 + 2.0 * math.sqrt(x) + 2.0 * x) * common.sqrt()
        + systematic2.sqrt()
    )
    return Look("group", float((e2.sqrt() / (limit + TINY)).max()), where=where)


def _blocks(x: Tensor) -> Tensor:
    padded = functional.pad(x, (0, -x.shape[2] % 16))
    return padded.view(*padded.shape[:2], -1, 16).sum(-1)


def gain(error: Tensor, b: Bound) -> Look:
    """The weighted least-squares slope of the error on the truth, per head and over all.

    Catches an output that is right but for a factor like 1 + 2^-6, which single elements hide.
    """
    if error.numel() == 0:
        return Look("gain", 0.0)
    own = b.own()
    pull = b.truth / (own + b.row + b.common + b.systematic**2 + TINY)
    size = pull.abs()
    rows = (size * b.row.sqrt()).sum(3)
    parts = (
        (pull * error).sum((2, 3)),
        (size**2 * own).sum((2, 3)),
        (rows**2).sum(2),
        (size * b.common.sqrt()).sum((2, 3)),
        (size * b.systematic).sum((2, 3)),
        (pull * b.rho).sum((2, 3)),
        (pull * b.rounded).sum((2, 3)),
    )
    worst = 0.0
    for view in (parts, tuple(x.sum().view(1) for x in parts)):
        slope, s2, r2, common, systematic, rho, rounded = view
        x = math.sqrt(2.0 * math.log(4.0 * max(slope.numel(), 1) / ALPHA))
        limit = x * (s2.sqrt() + r2.sqrt() + common) + systematic + rho.abs() + rounded.abs()
        worst = max(worst, float((slope.abs() / (limit + TINY)).max()))
    return Look("gain", worst)
