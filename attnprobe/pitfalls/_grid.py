"""Thread blocks of an attention kernel: how many, what each has to do, how long SMs take for them.

Tiles of queries: 64 in the memory-efficient kernel, 128 in the others. Sources:
torch@2.13.0:aten/src/ATen/native/transformers/cuda/mem_eff_attention/kernel_forward.h (`getBlocksGrid`,
`kQueriesPerBlock`); Dao, arXiv:2307.08691, section 3.3 (blocks of 64 or 128 queries).
"""

from __future__ import annotations

import heapq
from functools import cache

from attnprobe.core.case import Sequence
from attnprobe.core.mask import Mask
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _dispatch

DECODING = 16
"""Queries up to which a call is a step of decoding: one tile, however it is cut."""
FULL = 16
"""Blocks for each SM from which their order and their sizes no longer matter."""

_UNFUSED = ("eager", "sdpa-math", "flex-eager", "lucidrains", "mha")


def is_fused(here: Situation) -> bool:
    """Whether the backend launches a grid of query tiles; matmul kernels have grids of theirs."""
    return here.backend not in _UNFUSED


def tile(here: Situation) -> int:
    """Queries of one thread block."""
    small = here.calls("sdpa-mem-efficient", "xformers-cutlass")
    return 64 if small or here.case.dtype == "float32" else 128


def blocks(here: Situation) -> int:
    """Thread blocks of the forward."""
    return here.case.Hq * sum(-(-sequence.Mq // tile(here)) for sequence in here.case.sequences)


def starvation(here: Situation, n: int) -> tuple[float, float]:
    """Time per sequence over that in a batch of n times as many, least and most.

    Blocks go to the first SM that has room, in the order of their launch: tiles of a head, heads,
    sequences; one, two or three of them share an SM and run as fast as alone. The backward, whose
    blocks are tiles of keys, is taken to fare alike.
    """
    if blocks(here) > FULL * here.multiprocessors:
        return 1.0, 1.0
    work = _work(here)
    slots = [here.multiprocessors * shared for shared in (1, 2, 3)]
    found = [n * _makespan(work, 1, each) / _makespan(work, n, each) for each in slots]
    return min(found), max(found)


def _work(here: Situation) -> tuple[int, ...]:
    """Keys that each block visits, in the order of launch; a tensor of a mask hides none."""
    case, size = here.case, tile(here)
    known = case.mask.is_band and not _dispatch.has_mask_tensor(case)
    found: list[int] = []
    for sequence in case.sequences:
        starts = range(0, sequence.Mq, size)
        if known:
            of_a_head = [_visited(case.mask, start, start + size, sequence) for start in starts]
        else:
            of_a_head = [sequence.Mkv] * len(starts)
        if size == 128:
            of_a_head.reverse()  # newer kernels begin with the long ones
        found += of_a_head * case.Hq
    return tuple(found)


def _visited(mask: Mask, start: int, stop: int, sequence: Sequence) -> int:
    """Keys within the band of the queries `start` to `stop`; a block of none costs as much as one."""
    shift = mask.shift(sequence.Mq, sequence.Mkv)
    first = 0 if mask.left is None else max(0, start + shift - mask.left)
    last = sequence.Mkv if mask.right is None else min(sequence.Mkv, stop + shift + mask.right)
    return max(1, last - first)


@cache
def _makespan(work: tuple[int, ...], n: int, slots: int) -> int:
    """When the last of n times these blocks is done."""
    busy = [0] * slots
    for _ in range(n):
        for keys in work:
            heapq.heapreplace(busy, busy[0] + keys)
    return max(busy)
