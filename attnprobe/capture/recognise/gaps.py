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
from attnprobe.masks.dilated import dilated
from attnprobe.masks.sinks import sinks

T = TypeVar("T")

PAIRS_AT_ONCE = 2**22
"""Pairs of a candidate that are made in one go."""

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
            if _same(rows, mask, box):
                return make(mask, box, False, False)
    box = tried[0]
    for mask in (NONE, *(causal(align) for align in ALIGNS)):
        if _same_columns(rows, mask, box):
            return make(mask, box, False, True)
    return None


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


def _same(rows: Rows, mask: Mask, boxes: Boxes) -> bool:
    """Whether every row has the keys that the mask allows in its box, by their count and sum."""
    number = weights(rows.Mkv)
    key = torch.arange(rows.Mkv)
    at_once = max(1, PAIRS_AT_ONCE // max(1, rows.Mkv))
    for plane in range(rows.planes):
        for start in range(0, rows.Mq, at_once):
            part = (plane, slice(start, start + at_once))
            i, j = boxes.row[part][:, None], key - boxes.kv_start[part][:, None]
            Mq, Mkv = boxes.Mq[part][:, None], boxes.Mkv[part][:, None]
            allowed = mask.allows(i, j, Mq, Mkv) & (i < Mq) & (j < Mkv)
            total = torch.where(allowed, number, 0).sum(-1)
            if not torch.equal(total, rows.total[part]) or not torch.equal(
                allowed.sum(-1), rows.count[part]
            ):
                return False
    return True


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
