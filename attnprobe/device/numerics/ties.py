"""How far rounding errors of one input can move together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attnprobe.device.inputs import Inputs


@dataclass(frozen=True)
class Ties:
    """Largest number of equal vectors; equal keys get equal P, so their rounding errors are equal too.

    The variance of a sum of m-fold equal errors is at most m times that of independent ones
    (Cauchy-Schwarz on the m terms of each tie).

    Args:
        keys: Equal keys of one head: multiplies the variance of out and dq.
        queries: Equal queries of one group: multiplies that of dk and dv.
        columns: True when two columns of v or of dout are equal: a row's errors are one error.
    """

    keys: int
    queries: int
    columns: bool

    def of(self, name: str) -> int:
        """The factor on a quantity's variance."""
        if name in ("out", "lse", "dq"):
            return self.keys
        return max(self.keys, self.queries) if name == "dbias" else self.queries


def ties(inputs: Inputs) -> Ties:
    """Counts equal vectors by hashing them with a fixed random direction."""
    return Ties(
        keys=_most(inputs.k, 3),
        queries=_most(inputs.q, 3),
        columns=_most(inputs.v, 2) > 1 or _most(inputs.dout, 2) > 1,
    )


def _most(x: Tensor, dim: int) -> int:
    """How often the most frequent vector along `dim` occurs within a head."""
    if x.numel() == 0:
        return 1
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(x.shape[dim], generator=generator, dtype=torch.float64).to(x.device)
    hashed = (x.double() * direction.view([-1 if d == dim else 1 for d in range(4)])).sum(dim)
    hashed = hashed.flatten(0, 1).sort(-1).values
    same = hashed[:, 1:] == hashed[:, :-1]
    if not bool(same.any()):
        return 1
    at = torch.arange(1, same.shape[1] + 1, device=x.device).expand(same.shape)
    start = at.masked_fill(same, 0).cummax(-1).values  # where the run of equal neighbours began
    return int((at - start).max()) + 1
