"""Tensors read as if their memory were contiguous, unstrided or aligned.

A kernel that ignores strides reads (B, M, H, K) memory as (B, H, M, K), a last dimension with stride 2
without its gaps, or rounds the address down to 16 bytes for a vector load.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor

from attnprobe.device.explainer.seen import Seen, Variant
from attnprobe.device.inputs import Inputs

KIND = "problem"

NAMES = ("q", "k", "v", "dout")


def variants(seen: Seen) -> Iterator[Variant]:
    """Each tensor alone, and all that are affected."""
    for what, read in (
        ("as if it were contiguous", _contiguous),
        ("as if its last stride were 1", _dense_columns),
        ("from an address rounded down to 16 bytes", _aligned),
    ):
        found = {}
        for name in NAMES:
            tensor = read(getattr(seen.inputs, name))
            if tensor is not None:
                found[name] = tensor
        for name, tensor in found.items():
            yield Variant(f"{name} is read {what}", _with(seen.inputs, {name: tensor}))
        forward = {name: tensor for name, tensor in found.items() if name != "dout"}
        if len(forward) > 1:
            yield Variant(f"{', '.join(forward)} are read {what}", _with(seen.inputs, forward))


def _with(inputs: Inputs, found: dict[str, Tensor]) -> Inputs:
    read = {name: found.get(name, getattr(inputs, name)) for name in NAMES}
    return replace(inputs, q=read["q"], k=read["k"], v=read["v"], dout=read["dout"])


def _strided(x: Tensor, strides: tuple[int, ...], offset: int) -> Tensor | None:
    """The same memory read otherwise; None where that leaves it, or changes nothing."""
    last = offset + sum((n - 1) * s for n, s in zip(x.shape, strides, strict=True))
    held = x.untyped_storage().nbytes() // x.element_size()
    same = strides == x.stride() and offset == x.storage_offset()
    if same or not x.numel() or last >= held:
        return None
    return x.as_strided(x.shape, strides, offset)


def _contiguous(x: Tensor) -> Tensor | None:
    strides, step = list[int](), 1
    for n in reversed(x.shape):
        strides.insert(0, step)
        step *= n
    return _strided(x, tuple(strides), int(x.storage_offset()))


def _dense_columns(x: Tensor) -> Tensor | None:
    return _strided(x, (*x.stride()[:-1], 1), int(x.storage_offset()))


def _aligned(x: Tensor) -> Tensor | None:
    whole = 16 // x.element_size()
    return _strided(x, x.stride(), int(x.storage_offset()) // whole * whole)
