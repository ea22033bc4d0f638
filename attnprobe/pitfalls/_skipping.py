"""What a kernel that knows the mask may leave out, and what of that is seen as time."""

from __future__ import annotations

import math
from dataclasses import replace

from attnprobe.core import cost
from attnprobe.core.case import Case
from attnprobe.core.diagnosis import Prediction

TILE = {True: 128, False: 512}
"""Keys of one tile, all or none of which are left out: of CUDA's kernels (FlashAttention-2's and
CUTLASS's have 64 or 128), and of the CPU's (torch@2.13.0: FlashAttentionKernel.cpp, kvSplitSize)."""

LONG = {True: 2**31, False: 2**24}
"""B * Hq * Mq * Mkv * K below which launches, not pairs, set the time of a fused call."""

WORTH = 1.2


def share(case: Case, on_cuda: bool) -> float:
    """How many times as many pairs the whole rectangle has as the tiles that the mask touches."""
    mask, whole = case.mask, case.Mq * case.Mkv
    wider = TILE[on_cuda] - 1
    left = None if mask.left is None else mask.left + wider
    right = None if mask.right is None else mask.right + wider
    touched = cost.pairs(replace(mask, left=left, right=right), case.Mq, case.Mkv)
    return whole / max(1, touched)


def is_worth(case: Case, on_cuda: bool) -> bool:
    """Whether leaving out is seen at all: the call is long enough, and enough of it is masked."""
    work = case.B * case.Hq * case.Mq * case.Mkv * case.K
    return work >= LONG[on_cuda] and share(case, on_cuda) >= WORTH


def time(case: Case, on_cuda: bool, more: float) -> Prediction:
    """Time with a mask that must be read over time with one that is known.

    Args:
        case: The call; its mask is a band.
        on_cuda: Where.
        more: Most that reading the mask and a lesser kernel add, as a factor.
    """
    gain = share(case, on_cuda)
    because = (
        f"Mq * Mkv is {gain:.3g}x the pairs in tiles that the mask touches; at least the root of it "
        f"shows, since rows, statistics and gradients are not left out, at most {more:g}x it, since "
        "the mask is read and a lesser kernel may run"
    )
    return Prediction("time", math.sqrt(gain), more * gain, because)
