"""The simplest structure that reproduces every row of a mask: sequences in boxes, and one Mask within.

Candidates are read off the rows, then compared with all of them; what does not reproduce each one is
not an answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from attnprobe.capture.recognise.gaps import ALIGNS, with_gaps
from attnprobe.capture.recognise.rows import Boxes, Rows, interval
from attnprobe.core.mask import NONE, Align, Mask
from attnprobe.masks.block_diagonal import block_diagonal
from attnprobe.masks.causal import causal
from attnprobe.masks.chunked import chunked
from attnprobe.masks.prefix_lm import prefix_lm


@dataclass(frozen=True)
class Structure:
    """What reproduces the rows.

    Args:
        mask: The pairs allowed within each sequence.
        boxes: Where the sequences lie.
        documents: Whether a plane may hold several sequences.
        holes: Whether the keys of `Rows.columns` that nobody attends are missing too.
    """

    mask: Mask
    boxes: Boxes
    documents: bool = False
    holes: bool = False


def explain(rows: Rows) -> Structure | None:
    """The first structure, from simple to involved, that is the mask; None for none."""
    if not rows.contiguous:
        return with_gaps(rows, (whole(rows), keys(rows)), Structure)
    for boxes_of, masks_of in SEARCH if rows.Mq > 1 else ONE_QUERY:
        boxes = boxes_of(rows)
        for mask in masks_of(rows, boxes):
            if reproduces(rows, mask, boxes):
                return Structure(mask, boxes, documents=boxes_of is documents)
    return with_gaps(rows, (whole(rows), keys(rows)), Structure)


def reproduces(rows: Rows, mask: Mask, boxes: Boxes) -> bool:
    """Whether every row is what the mask allows in its box."""
    first, last = interval(mask, boxes)
    return torch.equal(first, rows.first) and torch.equal(last, rows.last)


def whole(rows: Rows) -> Boxes:
    """One sequence per plane, as large as the tensor."""
    zero = torch.zeros_like(rows.first)
    return Boxes(zero, zero + rows.Mq, zero, zero + rows.Mkv)


def keys(rows: Rows) -> Boxes:
    """One sequence per plane: all queries, and the keys from the first to the last that any attends."""
    start, stop = _range(rows)
    zero = torch.zeros_like(rows.first)
    return Boxes(zero, zero + rows.Mq, zero + start, zero + stop - start)


def both(rows: Rows) -> Boxes:
    """One sequence per plane: those keys, and the queries from the first to the last that has any."""
    start, stop = _range(rows)
    row = torch.arange(rows.Mq).expand_as(rows.first)
    q_start = torch.where(rows.allowing, row, rows.Mq).amin(-1, keepdim=True)
    q_stop = torch.where(rows.allowing, row + 1, 0).amax(-1, keepdim=True)
    q_start = torch.minimum(q_start, q_stop)
    zero = torch.zeros_like(rows.first)
    return Boxes(zero + q_start, zero + q_stop - q_start, zero + start, zero + stop - start)


def documents(rows: Rows) -> Boxes:
    """A sequence begins at each row whose keys all lie behind those of the rows before it."""
    last_so_far = torch.cat(
        [torch.full_like(rows.last[:, :1], -1), rows.last.cummax(-1).values[:, :-1]], -1
    )
    begins = rows.allowing & (rows.first > last_so_far)
    number = begins.long().cumsum(-1)  # 0 for rows before the first sequence
    row = torch.arange(rows.Mq).expand_as(number)

    def least(of: Tensor) -> Tensor:
        """The least value of each row's sequence, at each row."""
        found = torch.full((rows.planes, rows.Mq + 1), 2**62)
        found.scatter_reduce_(1, number, torch.where(rows.allowing, of, 2**62), "amin")
        return found.gather(1, number)

    q_start, kv_start = least(row), least(rows.first)
    q_stop, kv_stop = -least(-row - 1), -least(-rows.last - 1)
    outside = (number == 0) | (row >= q_stop)

    def inside(values: Tensor) -> Tensor:
        return values.masked_fill(outside, 0)

    return Boxes(
        inside(q_start), inside(q_stop - q_start), inside(kv_start), inside(kv_stop - kv_start)
    )


def unmasked(rows: Rows, boxes: Boxes) -> Iterator[Mask]:
    """No mask."""
    yield NONE


def plain(rows: Rows, boxes: Boxes) -> Iterator[Mask]:
    """No mask, and causal."""
    yield NONE
    yield from (causal(align) for align in ALIGNS)


def strict(rows: Rows, boxes: Boxes) -> Iterator[Mask]:
    """All before the diagonal, and all behind it."""
    for align in ALIGNS:
        yield from (Mask(None, -1, align), Mask(-1, None, align))


def local(rows: Rows, boxes: Boxes) -> Iterator[Mask]:
    """Causal windows."""
    for align in ALIGNS:
        left = _left(rows, boxes, align)
        if left is not None and left >= 0:
            yield Mask(left, 0, align)


def bands(rows: Rows, boxes: Boxes) -> Iterator[Mask]:
    """Windows of any two sides, by the alignment that puts their diagonal inside them."""
    found = [(_left(rows, boxes, align), _right(rows, boxes, align), align) for align in ALIGNS]
    for left, right, align in sorted(found, key=lambda band: min(band[0] or 0, band[1] or 0) < 0):
        if left is None or right is None or left + right >= 0:
            yield Mask(left, right, align)


def families(rows: Rows, boxes: Boxes) -> Iterator[Mask]:
    """Prefix-LM, blocks and chunks of one size."""
    ends = torch.where(rows.allowing, rows.last - boxes.kv_start + 1, rows.Mkv).amin(-1)
    prefixes = sorted({int(end) for end in ends if 0 <= end <= rows.Mkv}, reverse=True)
    size = int(rows.count.max())
    for align in ALIGNS:
        yield from (prefix_lm(prefix, align) for prefix in prefixes[:8])
        if size:
            yield block_diagonal(size, align)
            yield chunked(size, align)


def _right(rows: Rows, boxes: Boxes, align: Align) -> int | None:
    """How far the first row that ends before its sequence does looks ahead of the diagonal."""
    ahead = rows.last - boxes.kv_start - boxes.row - boxes.shift(causal(align))
    ends = rows.allowing & (rows.last < boxes.kv_start + boxes.Mkv - 1)
    found = ahead[ends]
    return int(found[0]) if found.numel() else None


def _left(rows: Rows, boxes: Boxes, align: Align) -> int | None:
    """How far the first row that begins after its sequence does looks back from the diagonal."""
    behind = boxes.row + boxes.shift(causal(align)) - (rows.first - boxes.kv_start)
    begins = rows.allowing & (rows.first > boxes.kv_start)
    found = behind[begins]
    return int(found[0]) if found.numel() else None


def _range(rows: Rows) -> tuple[Tensor, Tensor]:
    """(U, 1) first key that any query attends and the one behind the last; 0, 0 for none."""
    first = torch.where(rows.allowing, rows.first, rows.Mkv).amin(-1, keepdim=True)
    stop = rows.last.amax(-1, keepdim=True) + 1
    return torch.minimum(first, stop), stop


SEARCH = (
    (whole, plain),
    (whole, strict),
    (keys, plain),
    (whole, local),
    (keys, local),
    (both, plain),
    (whole, bands),
    (whole, families),
    (both, local),
    (keys, bands),
    (both, bands),
    (keys, families),
    (both, families),
    (documents, plain),
    (documents, local),
    (documents, bands),
)
"""Where sequences may lie and what may hold within them, the usual before the involved."""

ONE_QUERY = ((whole, unmasked), (keys, unmasked))
"""A single query tells no mask: its keys are a range, and that is what it is called."""
