"""A case cut into rectangles of queries and keys, and rectangles into tiles that fit a byte budget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from attnprobe.core.case import Case
from attnprobe.core.mask import Mask

SCRATCH_BYTES = {"cpu": 64 * 2**20, "cuda": 384 * 2**20}
"""Memory that one tile's temporaries may take, whatever the lengths."""

_TENSORS = 56
"""float64 tensors of a score tile's size alive at the backward's widest point, rounded up; a test of the
peak memory (tests/numerics/test_reference_memory.py) fails when it is too few."""


@dataclass(frozen=True)
class Region:
    """Queries and keys that attend each other: one sequence, or all of them when all are alike.

    Args:
        batch: Rows of the canonical batch dimension.
        q: Queries in the canonical tensors.
        kv: Keys in the canonical tensors.
        Mq: Number of queries.
        Mkv: Number of keys.
    """

    batch: slice
    q: slice
    kv: slice
    Mq: int
    Mkv: int

    @property
    def size(self) -> int:
        """Rows of the batch dimension."""
        return int(self.batch.stop - self.batch.start)


def regions(case: Case, budget: int) -> Iterator[Region]:
    """Every sequence once; sequences of equal shape go together as far as the budget allows."""
    if case.lengths is not None:
        for s in case.sequences:
            q, kv = slice(s.q_start, s.q_start + s.Mq), slice(s.kv_start, s.kv_start + s.Mkv)
            yield Region(slice(s.batch, s.batch + 1), q, kv, s.Mq, s.Mkv)
        return
    smallest = min(case.Mq, 16) * min(case.Mkv, 64) * case.Hq  # a tile below this is all overhead
    step = max(1, budget // max(smallest, 1))
    for start in range(0, case.B, step):
        batch = slice(start, min(start + step, case.B))
        yield Region(batch, slice(0, case.Mq), slice(0, case.Mkv), case.Mq, case.Mkv)


def budget(device: str, scratch: int | None = None) -> int:
    """Score elements per tile, over batch, heads, queries and keys."""
    return (scratch or SCRATCH_BYTES[device]) // (8 * _TENSORS)


def tiles(heads: int, rows: int, keys: int, budget: int) -> tuple[list[slice], list[slice]]:
    """Query tiles and key tiles of one region; `heads` is batch rows times query heads."""
    square = max(1, int((budget / max(heads, 1)) ** 0.5))
    mq = min(rows, max(square, budget // max(1, heads * keys)))
    n = min(keys, max(1, budget // max(1, heads * mq)))
    return _cut(rows, mq), _cut(keys, n)


def _cut(length: int, step: int) -> list[slice]:
    return [slice(a, min(a + step, length)) for a in range(0, length, max(step, 1))]


def wholly_masked(mask: Mask, first: int, last: int, keys: slice, Mq: int, Mkv: int) -> bool:
    """True when the band alone forbids every pair of queries first..last with these keys."""
    shift = mask.shift(Mq, Mkv)
    ahead = mask.right is not None and keys.start - last - shift > mask.right
    behind = mask.left is not None and keys.stop - 1 - first - shift < -mask.left
    return ahead or behind
