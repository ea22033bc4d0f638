"""Masked scores lowered by a finite amount, so that every masked key leaks a little.

An additive mask of -10 or -100 "is as good as infinite" until a score exceeds it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from attnprobe.core.mask import NONE
from attnprobe.device.explainer.edits import add
from attnprobe.device.explainer.seen import Seen, Variant
from attnprobe.device.lowering import dense

KIND = "problem"

AMOUNTS = (5.0, 10.0, 20.0, 30.0, 50.0, 100.0)


def variants(seen: Seen) -> Iterator[Variant]:
    """Amounts as programs have them; exp(-100) is below float32's resolution in any row."""
    case = seen.inputs.case
    if case.storage != "padded" or (case.mask.is_none and case.lengths is None):
        return
    forbidden = ~dense.allowed(case, seen.inputs.q.device)
    open_ = replace(seen.inputs, case=case.edit(mask=NONE, lengths=None))
    for amount in AMOUNTS:
        lowered = torch.where(forbidden, -amount, 0.0).double()
        says = f"masked scores are lowered by {amount:g} instead of being removed"
        yield Variant(says, add(open_, lowered))
