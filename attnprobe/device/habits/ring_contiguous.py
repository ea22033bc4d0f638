"""Each rank of a causal ring holds one contiguous part of the sequence.

Rank r attends r + 1/2 parts, so that the last one works longest and the others wait.
Source: https://github.com/pytorch/pytorch/pull/132442
"""

from __future__ import annotations

from functools import partial

import torch
from torch.nn.functional import scaled_dot_product_attention

from attnprobe.device.habits import _call
from attnprobe.device.inputs import Inputs

OVER = "slowest rank over the mean"
RANKS = 4
ROUNDS = 40


def written_shows(inputs: Inputs) -> dict[str, float]:
    """Rank r holds part r of four."""
    return {OVER: _imbalance(inputs, [(rank,) for rank in range(RANKS)])}


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """Rank r holds parts r and 7 - r of eight."""
    return {OVER: _imbalance(inputs, [(rank, 2 * RANKS - 1 - rank) for rank in range(RANKS)])}


def _imbalance(inputs: Inputs, held: list[tuple[int, ...]]) -> float:
    """The work of each rank, one after the other on this device; without what is sent around."""
    parts = max(map(max, held)) + 1
    q, k, v = (t.chunk(parts, dim=2) for t in (inputs.q, inputs.k, inputs.v))

    def work(mine: tuple[int, ...]) -> None:
        for part in mine:
            for other in range(part + 1):
                scaled_dot_product_attention(
                    q[part],
                    k[other],
                    v[other],
                    is_causal=other == part,
                    enable_gqa=inputs.case.groups > 1,
                )

    ranks = [partial(work, mine) for mine in held]
    with torch.no_grad():
        for rank in ranks:
            _call.warm(rank, inputs.device)
        rounds = [[_call.once(rank, inputs.device) for rank in ranks] for _ in range(ROUNDS)]
    # the fastest: what others took of the machine meanwhile is no rank's work
    seconds = [min(times) for times in zip(*rounds, strict=True)]
    return float(max(seconds) * len(seconds) / sum(seconds))
