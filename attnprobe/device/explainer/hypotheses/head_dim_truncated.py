"""Columns of q and k beyond a limit that do not enter the score.

Head dims padded to a multiple in the wrong direction, or a loop over a fixed number of columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from attnprobe.device.explainer.seen import Seen, Variant

KIND = "problem"


def variants(seen: Seen) -> Iterator[Variant]:
    """Limits as kernels have them, and the last column."""
    i, K = seen.inputs, seen.inputs.case.K
    for limit in sorted({n for n in (K - 1, K // 8 * 8, 32, 64, 96, 128, 256) if 0 < n < K}):
        kept = (torch.arange(K, device=i.q.device) < limit).to(i.q.dtype)
        last = "the last column" if limit == K - 1 else f"columns from {limit} on"
        says = f"{last} of q and k do not enter the score"
        yield Variant(says, replace(i, q=i.q * kept), of=("out", "lse", "dq", "dv", "dbias"))
        yield Variant(says, replace(i, k=i.k * kept), of=("dk",))
