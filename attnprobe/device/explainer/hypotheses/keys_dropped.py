"""Keys that are never read: the last one, the first one, all beyond a limit, all behind the window.

A loop bound off by one, a table of a fixed size, a window that nobody asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from attnprobe.device.explainer.edits import attend_dense
from attnprobe.device.explainer.seen import Seen, Variant

KIND = "problem"

LIMITS = (64, 96, 128, 256, 500, 512, 1000, 1024, 2000, 2048, 4096, 8192, 16384, 32768, 65536)


def variants(seen: Seen) -> Iterator[Variant]:
    """Limits as programs have them."""
    N = seen.inputs.case.Mkv
    at = torch.arange(N, device=seen.inputs.q.device)
    kept = {"the last key is never attended": at < N - 1, "the first key is never attended": at > 0}
    kept |= {f"keys from {n} on are never attended": at < n for n in LIMITS if n < N}
    if N > 1:
        for says, columns in kept.items():
            yield Variant(says, attend_dense(seen.inputs, partial(_of, columns=columns)))


def _of(keep: Tensor, columns: Tensor) -> Tensor:
    return keep & columns[: keep.shape[-1]]
