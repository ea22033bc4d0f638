"""A gradient that sums over fewer rows than it should: one head of a group, all but the tail.

dK and dV sum over the query heads of a group and over all queries, dbias over whatever it broadcasts. A
sum that misses some of them is the right gradient of a problem whose dO is zero there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from attnprobe.device.explainer.seen import Seen, Variant

KIND = "result"

TILES = (16, 32, 64, 128)


def variants(seen: Seen) -> Iterator[Variant]:
    """What is counted, for the gradients that sum over it."""
    if "out" in seen.unexplained:
        return
    case, open_ = seen.inputs.case, set(seen.unexplained)
    B, Hq, Tq, _ = seen.inputs.dout.shape
    device = seen.inputs.q.device
    head, batch = torch.arange(Hq, device=device), torch.arange(B, device=device)
    row = torch.arange(Tq, device=device)[:, None]
    keys, sums = {"dk", "dv"} & open_, {"dk", "dv", "dbias"} & open_
    bias = {"dbias"} & open_
    shape = case.bias_shape or (0, 0, 0, 0)
    if case.groups > 1:
        for says, n in (("first", 0), ("last", case.groups - 1)):
            counted = (head % case.groups == n)[:, None, None]
            yield from _only(seen, keys, counted, f"only the {says} query head of each group")
    if shape[0] == 1 and B > 1:
        counted = (batch == 0)[:, None, None, None]
        yield from _only(seen, bias, counted, "only the first batch element")
    if shape[1] == 1 and Hq > 1:
        yield from _only(seen, bias, (head == 0)[:, None, None], "only the first head")
    yield from _only(seen, sums, row < Tq - 1, "all queries but the last")
    yield from _only(seen, sums, row > 0, "all queries but the first")
    for size in TILES:
        whole = Tq // size * size
        if 0 < whole < Tq - 1:
            says = f"all queries but the last partial tile (from {whole} on, tiles of {size})"
            yield from _only(seen, sums, row < whole, says)


def _only(seen: Seen, names: set[str], counted: Tensor, says: str) -> Iterator[Variant]:
    if names:
        problem = replace(seen.inputs, dout=seen.inputs.dout * counted)
        for name in sorted(names):
            yield Variant(f"{name} counts {says}", problem, of=(name,))
