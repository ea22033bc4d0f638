"""A right result in the wrong place: heads or batch elements exchanged, rows or columns shifted.

An index off by one in the store, or heads written in another order than they were read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from attnprobe.device.explainer.seen import Seen, Variant
from attnprobe.device.inputs import Inputs, Outputs

KIND = "result"

NAMED = {0: "batch element", 1: "head"}
LINES = {2: "row", 3: "column"}


def variants(seen: Seen) -> Iterator[Variant]:
    """Shifts by one that fit better than no shift; for heads and batch elements, the nearest of all."""
    for name in seen.unexplained:
        got, truth = getattr(seen.outputs, name), getattr(seen.reference, name)
        if name == "lse" or got is None:
            continue
        got = got.double().nan_to_num(0.0, 0.0, 0.0)
        for d, axis in LINES.items():
            for step, says in ((1, "too far"), (-1, "too early")):
                if truth.shape[d] > 2 and _nearer(got.roll(-step, d), got, truth):
                    order = torch.arange(truth.shape[d], device=truth.device).roll(-step)
                    yield _variant(seen, name, d, order, f"{name} is written one {axis} {says}")
        for d, axis in NAMED.items():
            source = _sources(got, truth, d)
            if source is not None:
                pairs = ", ".join(f"{n}: {s}" for n, s in enumerate(source.tolist()) if n != s)
                says = f"{name} of another {axis} is found in {axis}s ({pairs})"
                yield _variant(seen, name, d, source.argsort(), says)


def _nearer(moved: Tensor, got: Tensor, truth: Tensor) -> bool:
    return float((moved - truth).norm()) < 0.5 * float((got - truth).norm())


def _sources(got: Tensor, truth: Tensor, d: int) -> Tensor | None:
    """Which slice of the truth each slice holds, where that is a permutation other than none."""
    a, b = got.transpose(0, d).flatten(1), truth.transpose(0, d).flatten(1)
    if not 1 < a.shape[0] <= 1024:
        return None
    nearest = torch.cdist(a, b).argmin(1)
    straight = torch.arange(len(nearest), device=nearest.device)
    if torch.equal(nearest, straight) or not torch.equal(nearest.sort().values, straight):
        return None
    return nearest


def _variant(seen: Seen, name: str, d: int, order: Tensor, says: str) -> Variant:
    def undo(outputs: Outputs) -> Outputs:
        return replace(outputs, **{name: getattr(outputs, name).index_select(d, order)})

    inputs: Inputs = seen.inputs
    return Variant(says, inputs, undo, of=(name,))
