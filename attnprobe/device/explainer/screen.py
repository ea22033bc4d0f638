"""A cheap look: what a variant gives in a few rows, against what the backend gave there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from attnprobe.device.explainer.seen import Seen, Variant
from attnprobe.device.inputs import Inputs, Outputs
from attnprobe.device.reference.regions import budget, regions
from attnprobe.device.reference.scores import Scores

ELEMENTS = 2**19
"""Scores per variant, over batch, heads, rows and keys: about two milliseconds on one CPU core."""

ROWS = 32


@dataclass(frozen=True)
class Screen:
    """A few rows of every head: half of them where the error is largest, half spread evenly.

    Args:
        seen: The failed trial.
        name: The quantity to look at: out, or dq where out is right.
    """

    seen: Seen
    name: str

    @cached_property
    def rows(self) -> Tensor:
        """Canonical positions of queries, ascending."""
        case, got = self.seen.inputs.case, getattr(self.seen.outputs, self.name)
        Tq = case.q_shape[2]
        count = ELEMENTS // max(1, case.B * case.Hq * case.Mkv)
        count = min(Tq, max(4, min(ROWS, count)))
        error = (got.double() - getattr(self.seen.reference, self.name)).abs().nan_to_num(0.0)
        error = error * self.seen.reference.compared[..., None]
        worst = error.amax((0, 1, 3)).topk(min(Tq, count // 2)).indices
        spread = torch.linspace(0, Tq - 1, count - count // 2, device=worst.device).long()
        rows: Tensor = torch.unique(torch.cat([worst, spread]))
        return rows

    @cached_property
    def before(self) -> float:
        """Size of the error as it stands."""
        return self._distance(self.seen.outputs, getattr(self.seen.reference, self.name))

    def error(self, variant: Variant) -> float:
        """Size of what remains under the variant over the size as it stands; 1 helps nothing."""
        if not self.before:
            return 1.0
        outputs = variant.undo(self.seen.outputs)
        got = getattr(outputs, self.name)
        if got is None or got.shape[2] <= int(self.rows[-1]):
            return 0.0  # of another shape: to be judged in full
        rows = self.rows if got.shape[2] == variant.inputs.case.q_shape[2] else None
        if rows is None:
            return 0.0
        truth = torch.zeros_like(got, dtype=torch.float64)
        truth[:, :, rows] = predict(variant.inputs, rows, self.name)
        return self._distance(outputs, truth) / self.before

    def _distance(self, outputs: Outputs, truth: Tensor) -> float:
        got = getattr(outputs, self.name)
        error = (got[:, :, self.rows].double() - truth[:, :, self.rows]).nan_to_num(0.0, 0.0, 0.0)
        if error.shape[1] == self.seen.inputs.case.Hq and error.shape[2] == len(self.rows):
            has_keys = self.seen.reference.compared[:, :, self.rows]
            error = error * has_keys[..., None]
        return float(error.norm())


def predict(inputs: Inputs, rows: Tensor, name: str) -> Tensor:
    """Out or dq of some queries in float64, (Bc, Hq, R, .); 0 in rows of no sequence.

    Args:
        inputs: A problem.
        rows: Canonical positions, ascending.
        name: out or dq.
    """
    case = inputs.case
    width = case.Kv if name == "out" else case.K
    shape = (case.q_shape[0], case.Hq, len(rows), width)
    found = torch.zeros(shape, dtype=torch.float64, device=rows.device)
    for region in regions(case, budget(inputs.q.device.type)):
        mine = (rows >= region.q.start) & (rows < region.q.stop)
        if not bool(mine.any()) or not region.Mkv or not region.size:
            continue
        scores = Scores(inputs, region, rows[mine] - region.q.start)
        i, j = slice(0, len(scores.rows)), slice(0, region.Mkv)
        k, v = scores.keys(j), scores.values(j)
        P = torch.softmax(scores.logits(i, j, k).S, -1).nan_to_num(0.0)
        if name == "out":
            found[region.batch, :, mine] = scores.weigh(P, v)
            continue
        dP = scores.against(scores.dout, v)
        U = P * (dP - (P * dP).sum(-1, keepdim=True))
        if case.score.softcap is not None:
            z = scores.logits(i, j, k).z
            U = U * (1.0 - (z / case.score.softcap) ** 2)
        found[region.batch, :, mine] = scores.scale * scores.weigh(U, k)
    return found
