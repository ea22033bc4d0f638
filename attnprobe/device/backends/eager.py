"""softmax(Q K^T) V written out, as tutorials do: every score is a tensor in memory.

Masked scores become -inf, so a row without keys is NaN. Low precision rounds the scores and the
probabilities. Source: Vaswani et al., arXiv:1706.03762, equation 1.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.device.backends import _leaves
from attnprobe.device.backends._claim import asked
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.inputs import Inputs
from attnprobe.device.layouts import BHMK
from attnprobe.device.lowering import dense
from attnprobe.device.lowering.base import Refusal


def logits(
    q: Tensor, k: Tensor, mask: Tensor | None, scale: float, softcap: float | None
) -> Tensor:
    """(B, Hq, Mq, Mkv) scores, masked and biased; k has Hq heads."""
    scores = q @ k.transpose(-2, -1) * scale
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if mask is None:
        return scores
    if mask.dtype is torch.bool:
        return scores.masked_fill(~mask, float("-inf"))
    return scores + mask


class Eager(Backend):
    """Plain tensor operations."""

    name = "eager"
    materialises = True
    empty_rows = "nan"

    def claim(self) -> Claim:
        """Always there: it is made of matmul and softmax."""
        return asked(self, "torch", lambda: (True, "matmul, softmax, matmul"))

    def contract(self, case: Case) -> str:
        """Scores and probabilities are rounded to the storage type."""
        return "unfused"

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """The mask becomes a dense tensor; nothing is refused that has one."""
        case = inputs.case
        uncapped = case.edit(score=replace(case.score, softcap=None))  # capped here, not by a mask
        lowered = dense.lower(replace(inputs, case=uncapped))
        if isinstance(lowered, Refusal):
            return lowered
        leaves = _leaves.qkv(inputs, BHMK())
        mask = _leaves.adopt_bias(leaves, inputs, lowered.arguments.get("attn_mask"))
        assert mask is None or isinstance(mask, Tensor)
        q, k, v = leaves["q"], leaves["k"], leaves["v"]
        groups, scale, softcap = case.groups, case.scale, case.score.softcap

        def launch() -> Tensor:
            keys = k.repeat_interleave(groups, 1) if groups > 1 else k
            values = v.repeat_interleave(groups, 1) if groups > 1 else v
            weights = logits(q, keys, mask, scale, softcap).softmax(-1).to(v.dtype)
            if case.dropout_p:
                weights = functional.dropout(weights, case.dropout_p)
            return weights @ values

        def lse() -> Tensor:
            keys = k.repeat_interleave(groups, 1) if groups > 1 else k
            return logits(q, keys, mask, scale, softcap).float().logsumexp(-1)

        return Prepared(launch, leaves, BHMK(), lowered.form, lse)


BACKEND = Eager()
