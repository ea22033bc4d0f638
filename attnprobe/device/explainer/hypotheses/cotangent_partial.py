"""A gradient that sums over fewer rows than it should: one head of a group, all but the tail.

dK and dV sum over the query heads of a group and over all queries, dbias over whatever it broadcasts. A
sum that misses some of them is the right gradient of a problem whose dO is zero there: every row's share
is linear in its own dO. So the shares are made once, and each sum is tried on them first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from attnprobe.device.explainer.seen import Seen, Variant
from attnprobe.device.explainer.shares import Shares, shares

KIND = "result"

TILES = (16, 32, 64, 128)

HELPS = 0.5
"""Share of the error that may remain for a sum to be worth a reference."""


def variants(seen: Seen) -> Iterator[Variant]:
    """What is counted, for the gradients that sum over it."""
    open_ = {"dk", "dv", "dbias"} & set(seen.unexplained)
    if "out" in seen.unexplained or seen.inputs.case.lengths is not None or not open_:
        return
    parts = shares(seen.inputs)
    for says, counted in _sums(seen):
        problem = replace(seen.inputs, dout=seen.inputs.dout * counted)
        for name in sorted(open_):
            if _helps(seen, parts, name, counted):
                yield Variant(f"{name} counts {says}", problem, of=(name,))


def _sums(seen: Seen) -> Iterator[tuple[str, Tensor]]:
    """In words, and as a table (B, Hq, Mq, 1) of the rows that are counted."""
    case, device = seen.inputs.case, seen.inputs.q.device
    head = torch.arange(case.Hq, device=device)[:, None, None]
    batch = torch.arange(case.B, device=device)[:, None, None, None]
    row = torch.arange(case.Mq, device=device)[:, None]
    if case.groups > 1:
        yield "only the first query head of each group", head % case.groups == 0
        yield "only the last query head of each group", head % case.groups == case.groups - 1
    yield "only the first batch element", batch == 0
    yield "only the first head", head == 0
    yield "all queries but the last", row < case.Mq - 1
    yield "all queries but the first", row > 0
    for start in sorted({case.Mq // n * n for n in TILES} - {0, case.Mq, case.Mq - 1}):
        yield f"all queries but the last partial tile (from {start} on)", row < start


def _helps(seen: Seen, parts: Shares, name: str, counted: Tensor) -> bool:
    got, truth = getattr(seen.outputs, name), getattr(seen.reference, name)
    if got is None or bool(counted.all()):
        return False
    error = (got.double() - truth).nan_to_num(0.0, 0.0, 0.0)
    left = (got.double() - parts.summed(name, counted)).nan_to_num(0.0, 0.0, 0.0)
    return float(left.norm()) < HELPS * float(error.norm())
