"""Rows that are right but for a factor of their own: the sum that they are divided by is wrong.

A key missing from the softmax's denominator but not from its numerator, an epsilon added to it, a
partial sum that is not rescaled. One number per row is read off the output by least squares.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from attnprobe.device.explainer.seen import Seen, Variant
from attnprobe.device.inputs import Outputs

KIND = "result"


def variants(seen: Seen) -> Iterator[Variant]:
    """Every row divided by its factor."""
    out, truth = seen.outputs.out.double(), seen.reference.out
    if "out" not in seen.unexplained or truth.shape[-1] < 8 or not bool(out.isfinite().all()):
        return
    size = (truth**2).sum(-1, keepdim=True)
    factor = (out * truth).sum(-1, keepdim=True) / size.clamp_min(1e-300)
    factor = factor.masked_fill((size == 0) | (factor.abs() < 1e-6), 1.0)
    rows = seen.reference.has_keys[..., None]
    low, high = float(factor[rows].min()), float(factor[rows].max())
    if high - low < 0.1 * abs(high + low - 2.0):
        return  # one factor for all: a gain

    def undo(outputs: Outputs) -> Outputs:
        return replace(outputs, out=outputs.out.double() / factor)

    says = (
        f"every row has a factor of its own ({low:.4g} to {high:.4g}): the softmax's sum is wrong"
    )
    yield Variant(says, seen.inputs, undo, of=("out",))
