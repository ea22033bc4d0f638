"""Keys or values read from a neighbour: a tile of the head before, or the key before.

A shared-memory buffer that is not refilled, or a load clamped to the last row that it believes to exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor

from attnprobe.device.explainer.seen import Seen, Variant

KIND = "problem"

SIZES = (16, 32, 64, 128)


def variants(seen: Seen) -> Iterator[Variant]:
    """The last key repeated; the first tile of the last head stale."""
    i, N = seen.inputs, seen.inputs.k.shape[2]
    if N > 1:
        says = "the last key is replaced by the one before it"
        yield Variant(f"{says}, in the score", replace(i, k=_clamped(i.k)))
        yield Variant(f"{says}, with its value", replace(i, k=_clamped(i.k), v=_clamped(i.v)))
    if i.v.shape[1] < 2:
        return
    for size in (n for n in SIZES if n <= N):
        what = f"the last head reads the first {size}"
        yield Variant(f"{what} values of the head before", replace(i, v=_stale(i.v, size)))
        yield Variant(f"{what} keys of the head before", replace(i, k=_stale(i.k, size)))


def _clamped(x: Tensor) -> Tensor:
    x = x.clone()
    x[:, :, -1] = x[:, :, -2]
    return x


def _stale(x: Tensor, size: int) -> Tensor:
    x = x.clone()
    x[:, -1, :size] = x[:, -2, :size]
    return x
