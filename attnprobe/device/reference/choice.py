"""Which queries of a long case are compared: a whole reference would take minutes."""

from __future__ import annotations

import torch
from torch import Tensor

from attnprobe.core.case import Case

LONG = {"cuda": 2**30, "cpu": 2**27}
"""Pairs of query and key, heads counted, up to which every query is compared. An H200 computes 2**30
pairs of 64 channels in float64 in 0.8 s, forward alone; 131072 tokens and 32 heads are 2**39."""

ENDS, SPREAD = 32, 192
"""Queries that are compared beyond that: at each end of a sequence, and spread between."""


def queries(case: Case) -> Tensor | None:
    """Positions within each sequence, ascending int64; None for all.

    One is drawn in each of `SPREAD` equal stretches, always the same: evenly spaced ones would lie at
    the same few places of a kernel's tiles where a length is a power of two.
    """
    pairs = case.Hq * sum(s.Mq * s.Mkv for s in case.sequences)
    if pairs <= LONG[case.device.partition(":")[0]]:
        return None
    longest = max(s.Mq for s in case.sequences)
    drawn = torch.rand(SPREAD, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    between = ((torch.arange(SPREAD) + drawn) * longest / SPREAD).long()
    first, last = torch.arange(ENDS), torch.arange(longest - ENDS, longest)
    found: Tensor = torch.unique(torch.cat([first, between, last]).clamp(0, longest - 1))
    return found
