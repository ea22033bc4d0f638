"""A result that is zero, or not a number, in whole rows, heads or batch elements: nobody wrote it.

The rest is right. A grid that is one block too small, a partial tile without its store, a gradient that
is not computed for some tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from attnprobe.device.explainer.pattern import AXES, located
from attnprobe.device.explainer.seen import Seen, Variant
from attnprobe.device.inputs import Outputs

KIND = "result"


def variants(seen: Seen) -> Iterator[Variant]:
    """Rows (of one head and batch element) that are zero, or not finite, throughout."""
    for name in seen.unexplained:
        got, truth = getattr(seen.outputs, name), getattr(seen.reference, name)
        if name == "lse" or got is None:
            continue
        states = {"zero": got == 0, "not finite": ~got.isfinite()}
        for says, state in states.items():
            empty = state.all(-1, keepdim=True) & (truth != 0).any(-1, keepdim=True)
            if bool(empty.any()) and (says == "zero" or not bool(empty.all())):
                yield _variant(seen, name, says, empty.expand_as(truth), truth)


def _variant(seen: Seen, name: str, says: str, empty: Tensor, truth: Tensor) -> Variant:
    def undo(outputs: Outputs) -> Outputs:
        got = getattr(outputs, name).double()
        return replace(outputs, **{name: torch.where(empty, truth, got)})

    place = located(empty, AXES[name])
    if bool(empty.all()):
        place = "all of it"
    return Variant(
        f"{name} is {says} where it is wrong: {place} never written",
        seen.inputs,
        undo,
        of=(name,),
    )
