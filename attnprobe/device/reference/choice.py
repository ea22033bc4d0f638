"""Which queries of a long case are compared, and where a reference is computed."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from attnprobe.core.case import Case

LONG = {"cuda": 2**30, "cpu": 2**27}
"""Pairs of query and key, heads counted, up to which every query is compared. An H200 computes 2**30
pairs of 64 channels in float64 in 0.8 s, forward alone; 131072 tokens and 32 heads are 2**39."""

ENDS, SPREAD = 32, 192
"""Queries that are compared beyond that: at each end of a sequence, and spread between."""

SMALL_PAIRS, SMALL_ELEMENTS = 2**18, 2**20
"""Pairs of query and key, heads counted, and elements of q, k, v and out up to which a case is compared
on the CPU. A verdict asks the device for some hundred single numbers, each of which waits until the GPU
has time for the process: 0.11 s for a case of any size on an H200 that eight processes share, where one
core of a CPU takes 0.01 s (torch 2.11)."""


def home(case: Case) -> str:
    """The device on which a case's reference is computed, and results are held against it."""
    shapes = (case.q_shape, case.k_shape, case.v_shape, case.out_shape)
    elements = sum(math.prod(shape) for shape in shapes)
    small = _pairs(case) <= SMALL_PAIRS and elements <= SMALL_ELEMENTS
    return "cpu" if small else case.device


def _pairs(case: Case) -> int:
    return case.Hq * sum(s.Mq * s.Mkv for s in case.sequences)


def queries(case: Case) -> Tensor | None:
    """Positions within each sequence, ascending int64; None for all.

    One is drawn in each of `SPREAD` equal stretches, always the same: evenly spaced ones would lie at
    the same few places of a kernel's tiles where a length is a power of two.
    """
    if _pairs(case) <= LONG[case.device.partition(":")[0]]:
        return None
    longest = max(s.Mq for s in case.sequences)
    drawn = torch.rand(SPREAD, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    between = ((torch.arange(SPREAD) + drawn) * longest / SPREAD).long()
    first, last = torch.arange(ENDS), torch.arange(longest - ENDS, longest)
    found: Tensor = torch.unique(torch.cat([first, between, last]).clamp(0, longest - 1))
    return found
