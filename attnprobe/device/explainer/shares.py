"""What every query row adds to the gradients that sum over rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attnprobe.device.inputs import Inputs
from attnprobe.device.reference.regions import Region
from attnprobe.device.reference.scores import Scores


@dataclass(frozen=True)
class Shares:
    """Probabilities and their gradients of a small full case, float64.

    Args:
        scores: The case as one region.
        P: (B, Hq, Mq, Mkv) probabilities.
        dS: Gradient of the logits.
        U: Gradient of the scaled product; differs from dS by the soft cap's slope.
    """

    scores: Scores
    P: Tensor
    dS: Tensor
    U: Tensor

    def summed(self, name: str, counted: Tensor) -> Tensor:
        """dk, dv or dbias over the rows that are counted.

        Args:
            name: Which gradient.
            counted: Broadcastable to (B, Hq, Mq, 1) bool.
        """
        scores = self.scores
        if name == "dv":
            return scores.gather(self.P * counted, scores.dout)
        if name == "dk":
            return scores.scale * scores.gather(self.U * counted, scores.q)
        assert scores.inputs.bias is not None
        return (self.dS * counted).sum_to_size(scores.inputs.bias.shape)


def shares(inputs: Inputs) -> Shares:
    """All rows at once; for cases without lengths, small enough to hold their scores."""
    case = inputs.case
    region = Region(slice(0, case.B), slice(0, case.Mq), slice(0, case.Mkv), case.Mq, case.Mkv)
    scores = Scores(inputs, region, torch.arange(case.Mq, device=inputs.q.device))
    i, j = slice(0, case.Mq), slice(0, case.Mkv)
    logits = scores.logits(i, j, scores.keys(j))
    P = torch.softmax(logits.S, -1).nan_to_num(0.0)
    dP = scores.against(scores.dout, scores.values(j))
    dS = P * (dP - (P * dP).sum(-1, keepdim=True))
    cap = scores.softcap
    U = dS if cap is None else dS * (1.0 - (logits.z / cap) ** 2)
    return Shares(scores, P, dS, U)
