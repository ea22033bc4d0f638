"""Masks whose rows have gaps: dilated ones, sinks, and padding with holes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from attnprobe.capture.recognise.rows import Boxes, Rows, interval, weights
from attnprobe.core.mask import NONE, Align, Mask
from attnprobe.masks.causal import causal
from attnprobe.masks.dilated import Dilated, dilated
from attnprobe.masks.sinks import Sinks, sinks

T = TypeVar("T")

ALIGNS: tuple[Align, Align] = ("top-left", "bottom-right")


def with_gaps(
    rows: Rows, boxes: Iterable[Boxes], make: Callable[[Mask, Boxes, bool, bool], T]
) -> T | None:
    """The first mask with gaps that reproduces every row; None for none.

    Args:
        rows: Rows, some of them with gaps.
        boxes: Where the sequences may lie.
        make: Makes the answer of mask, boxes, documents (False) and holes.
    """
    tried = tuple(boxes)
    for box in tried:
        for mask in (*_dilated(rows, box), *_sinks(rows, box)):
            if _holds(rows, mask, box):
                return make(mask, box, False, False)
    box = tried[0]
    for mask in (NONE, *(causal(align) for align in ALIGNS)):
        if _same_columns(rows, mask, box):
            return make(mask, box, False, True)
    return None


def _holds(rows: Rows, mask: Mask, boxes: Boxes) -> bool:
    """Whether a mask with one predicate reproduces every row."""
    match mask.predicates:
        case (Dilated(step),):
            return _holds_dilated(rows, mask, step, boxes)
        case (Sinks() as sinks_,):
            return _holds_sinks(rows, mask, sinks_, boxes)
    return False


def _dilated(rows: Rows, boxes: Boxes) -> Iterator[Mask]:
    """Every n-th diagonal of a band, the largest n that all first keys and the gaps have in common."""
    several = rows.count > 1
    gaps = (rows.last - rows.first)[several] // (rows.count[several] - 1)
    found = list[Mask]()
    for align in ALIGNS:
        diagonal = boxes.row + boxes.shift(causal(align)) + boxes.kv_start
        behind, ahead = ((diagonal - rows.first), (rows.last - diagonal))
        step = math.gcd(*set(torch.cat([gaps, behind[rows.allowing]]).tolist()))
        if step < 2:
            continue
        left, right = (int(side[rows.allowing].max()) for side in (behind, ahead))
        for back in (None, left):
            for front in dict.fromkeys((0, None, right)):
                if back is None or front is None or back + front >= 0:
                    found.append(Mask(back, front, align, dilated(step, align).predicates))
    yield from sorted(found, key=lambda mask: (mask.left is not None, mask.right not in (0, None)))


def _sinks(rows: Rows, boxes: Boxes) -> Iterator[Mask]:
    """A causal window and first keys: the sum of a row with a gap tells how many are which."""
    with_gap = (rows.last - rows.first + 1 > rows.count).nonzero()
    if not with_gap.numel() or bool(boxes.kv_start.any()):
        return
    plane, row = with_gap[0].tolist()
    count, last = int(rows.count[plane, row]), int(rows.last[plane, row])
    sums = _cumulated(weights(rows.Mkv))
    first = torch.arange(1, count)
    begins = last + 1 - (count - first)
    totals = sums[first] + sums[last + 1] - sums[begins]
    for at in (totals == rows.total[plane, row]).nonzero().flatten().tolist():
        for align in ALIGNS:
            shift = boxes.shift(causal(align))
            at_row = row + (int(shift[plane, row]) if isinstance(shift, torch.Tensor) else shift)
            if at_row >= int(begins[at]):
                yield sinks(int(first[at]), at_row - int(begins[at]), align)


def _holds_dilated(rows: Rows, mask: Mask, step: int, boxes: Boxes) -> bool:
    """Whether every row has every `step`-th key of the band, counted from its diagonal."""
    band = Mask(mask.left, mask.right, mask.align)
    diagonal = boxes.row + boxes.shift(mask) + boxes.kv_start
    low, high = interval(band, boxes)
    first, last = low + (diagonal - low) % step, high - (high - diagonal) % step
    empty = (high < low) | (last < first)
    sums = _strided_sums(weights(rows.Mkv), step)
    total = sums[(last + step).clamp(min=0)] - sums[first.clamp(max=rows.Mkv)]
    count = (last - first) // step + 1
    return _same(rows, count.masked_fill(empty, 0), total.masked_fill(empty, 0))


def _strided_sums(values: Tensor, step: int) -> Tensor:
    """At n + step the sum of the values at n, n - step, n - 2 step ...; zeros before the first."""
    rounds = -(-len(values) // step) + 1
    padded = torch.nn.functional.pad(values, (step, rounds * step - len(values)))
    return padded.reshape(-1, step).cumsum(0).flatten()


def _holds_sinks(rows: Rows, mask: Mask, sinks_: Sinks, boxes: Boxes) -> bool:
    """Whether every row has the first keys and the window behind its diagonal."""
    diagonal = boxes.row + boxes.shift(mask)
    stop = torch.minimum(diagonal + 1, boxes.Mkv).clamp(min=0)
    sunk = stop.clamp(max=sinks_.count)
    begins = torch.minimum(torch.maximum(diagonal - sinks_.left, sunk), stop)
    sums = _cumulated(weights(rows.Mkv))
    total = sums[sunk] + sums[stop] - sums[begins]
    outside = boxes.row >= boxes.Mq
    count = sunk + stop - begins
    return _same(rows, count.masked_fill(outside, 0), total.masked_fill(outside, 0))


def _same(rows: Rows, count: Tensor, total: Tensor) -> bool:
    """Whether rows have so many keys, and those: by the sum of their weights."""
    return torch.equal(count, rows.count) and torch.equal(total, rows.total)


def _same_columns(rows: Rows, mask: Mask, boxes: Boxes) -> bool:
    """Whether every row has the keys that the mask allows, without those that nobody attends."""
    first, last = interval(mask, boxes)
    totals = _cumulated(torch.where(rows.columns, weights(rows.Mkv), 0))
    counts = _cumulated(rows.columns.long())

    def between(sums: Tensor) -> Tensor:
        return sums.gather(1, last + 1) - sums.gather(1, first)

    return torch.equal(between(totals), rows.total) and torch.equal(between(counts), rows.count)


def _cumulated(values: Tensor) -> Tensor:
    """Sums of the first 0, 1, ... values along the last dim."""
    return torch.nn.functional.pad(values.cumsum(-1), (1, 0))
