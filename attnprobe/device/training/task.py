"""Sequences whose next token is certain to whoever looks two tokens back.

x[t + 1] = p(x[t - 1]) with a fixed permutation p of the vocabulary and two random first tokens. The
last token says nothing of the next: without attention the loss stays at log(vocabulary), and a model
that attends one key too few or too many has another loss curve.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

VOCABULARY = 64
LAG = 2
"""Tokens that are drawn at random; all later ones follow from them."""


@dataclass(frozen=True)
class Task:
    """The permutation and the sizes of a batch.

    Args:
        B: Sequences per batch.
        M: Tokens per sequence that are given to the model.
        seed: Of the permutation and of every batch.
        device: Where batches are needed.
    """

    B: int
    M: int
    seed: int
    device: str

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Tokens and the tokens that follow, both (B, M) int64; drawn on the CPU, alike everywhere.

        Args:
            step: Number of the batch.
        """
        fixed = torch.Generator().manual_seed(self.seed)
        permutation = torch.randperm(VOCABULARY, generator=fixed)
        drawn = torch.Generator().manual_seed(self.seed * 1_000_003 + step + 1)
        row = list(torch.randint(VOCABULARY, (LAG, self.B), generator=drawn))
        while len(row) <= self.M:
            row.append(permutation[row[-LAG]])
        tokens = torch.stack(row, 1).to(self.device)
        return tokens[:, :-1], tokens[:, 1:]


def certain(x: Tensor) -> Tensor:
    """The part of (B, M, ...) predictions or targets that follows from what was given."""
    return x[:, LAG - 1 :]
