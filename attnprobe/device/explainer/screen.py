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
    """

    seen: Seen

    @cached_property
    def name(self) -> str:
        """The quantity that must come nearer: out; dq where out is right; empty for neither."""
        return next((n for n in ("out", "dq") if n in self.seen.unexplained), "")

    @cached_property
    def rows(self) -> Tensor:
        """Canonical positions of queries, ascending."""
        case, name = self.seen.inputs.case, self.name or "out"
        Tq = case.q_shape[2]
        count = ELEMENTS // max(1, case.B * case.Hq * case.Mkv)
        count = min(Tq, max(4, min(ROWS, count)))
        error = self._error(getattr(self.seen.outputs, name), getattr(self.seen.reference, name))
        error = error.abs() * self.seen.reference.compared[..., None]
        worst = error.amax((0, 1, 3)).topk(min(Tq, count // 2)).indices
        spread = torch.linspace(0, Tq - 1, count - count // 2, device=worst.device).long()
        rows: Tensor = torch.unique(torch.cat([worst, spread]))
        return rows

    @cached_property
    def before(self) -> dict[str, float]:
        """Size of the error of out and dq as it stands."""
        return {n: self._distance(n, self.seen.outputs, None) for n in ("out", self.name) if n}

    def error(self, variant: Variant) -> float:
        """Size of what remains under the variant over the size as it stands; 1 helps nothing.

        A variant that changes an output that is right helps nothing either.
        """
        outputs = variant.undo(self.seen.outputs)
        if variant.drawn is not None:
            return 0.0
        if outputs.out.shape != self.seen.outputs.out.shape:
            return 0.0  # other dimensions: to be judged in full
        left = {n: self._distance(n, outputs, variant.inputs) for n in self.before}
        if self.name != "out" and left["out"] > 2.0 * self.before["out"]:
            return 1.0
        if not self.name:
            return 0.0
        return left[self.name] / self.before[self.name] if self.before[self.name] else 1.0

    def _distance(self, name: str, outputs: Outputs, problem: Inputs | None) -> float:
        got = getattr(outputs, name)[:, :, self.rows]
        if problem is None:
            truth = getattr(self.seen.reference, name)[:, :, self.rows]
        else:
            truth = predict(problem, self.rows, name)
        error = self._error(got, truth) * self.seen.reference.compared[:, :, self.rows, None]
        return float(error.norm())

    @staticmethod
    def _error(got: Tensor, truth: Tensor) -> Tensor:
        return (got.double() - truth).nan_to_num(0.0, 0.0, 0.0)


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
