"""A mask tested per tile of keys, or not at all in the last tile.

Fused kernels skip the element test in tiles that they believe to lie wholly inside the mask. With an
error in that belief the pairs of a tile on the diagonal leak, or those of the last, partial tile, or
the keys of the last tile are never visited; all other rows are right.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from attnprobe.device.explainer.edits import attend_dense
from attnprobe.device.explainer.seen import Seen, Variant

KIND = "problem"

SIZES = (16, 32, 64, 128, 256)


def variants(seen: Seen) -> Iterator[Variant]:
    """Every tile size that kernels use and that makes a difference."""
    inputs, case = seen.inputs, seen.inputs.case
    masked = not case.mask.is_none
    for size in (n for n in SIZES if masked and n < max(case.Mq, case.Mkv)):
        says = f"the mask is tested per tile of {size}: tiles on its border leak"
        yield Variant(says, attend_dense(inputs, partial(_by_tile, size=size)))
    for start in sorted({case.Mkv // n * n for n in SIZES} - {0, case.Mkv}):
        sizes = " or ".join(str(n) for n in SIZES if case.Mkv // n * n == start)
        last = f"the last partial tile of {sizes} (keys {start} to {case.Mkv - 1})"
        yield Variant(
            f"{last} is never visited", attend_dense(inputs, partial(_without, start=start))
        )
        if masked:
            yield Variant(
                f"{last} is not masked", attend_dense(inputs, partial(_with, start=start))
            )


def _by_tile(keep: Tensor, size: int) -> Tensor:
    """A pair attends when any pair of its tile does."""
    M, N = keep.shape[-2:]
    padded = torch.nn.functional.pad(keep, (0, -N % size, 0, -M % size))
    rows, columns = padded.shape[-2] // size, padded.shape[-1] // size
    tiles = padded.reshape(*padded.shape[:-2], rows, size, columns, size).any(-1).any(-2)
    return tiles.repeat_interleave(size, -1).repeat_interleave(size, -2)[..., :M, :N]


def _without(keep: Tensor, start: int) -> Tensor:
    return keep & (torch.arange(keep.shape[-1], device=keep.device) < start)


def _with(keep: Tensor, start: int) -> Tensor:
    return keep | (torch.arange(keep.shape[-1], device=keep.device) >= start)
