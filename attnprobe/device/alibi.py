"""The slopes of ALiBi, one per query head."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def slopes(Hq: int) -> Tensor:
    """(Hq,) float64 slopes: a geometric sequence from 2^(-8/n) for n = a power of two, else interleaved.

    Source: Press et al., arXiv:2108.12409, section 3, and the authors' `get_slopes` for head counts
    that are no power of two.
    """

    def power_of_two(n: int) -> list[float]:
        return [2.0 ** (-8.0 * (h + 1) / n) for h in range(n)]

    n = 2 ** math.floor(math.log2(Hq))
    extra = power_of_two(2 * n)[0::2][: Hq - n]
    return torch.tensor(power_of_two(n) + extra, dtype=torch.float64)
