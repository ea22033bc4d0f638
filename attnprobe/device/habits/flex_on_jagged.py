"""FlexAttention is called on a jagged nested tensor, without a mask of its own for the documents.

Source: https://github.com/pytorch/pytorch/issues/177378
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import flex_attention

from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.device.backends import _leaves, flex_eager
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.backends.njt import Jagged
from attnprobe.device.inputs import Inputs
from attnprobe.device.layouts import THK
from attnprobe.device.lowering.base import Refusal
from attnprobe.device.lowering.packed import Packed


class _OnJagged(Backend):
    """The packed rows as one nested tensor."""

    name = "written/flex-on-jagged"

    def claim(self) -> Claim:
        """It says nothing of itself."""
        return Claim(None, "code that people write", self.name)

    def contract(self, case: Case) -> str:
        """That of FlexAttention, uncompiled."""
        return flex_eager.BACKEND.contract(case)

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """Plain scores: every other mask would have to be a nested one."""
        case = inputs.case
        same = case.lengths is not None and case.lengths.q == case.lengths.kv
        if not same or not case.mask.is_none or not case.score.is_plain:
            return Refusal(("the habit is about self-attention without mask and score",))
        packed = Packed.of(case, inputs.device)
        rows = packed.cu_q.to(torch.int64), packed.max_q
        layout = Jagged(THK(inputs.q.shape[0]), rows, rows)  # one ragged dimension for q, k and v
        leaves = _leaves.qkv(inputs, layout)
        q, k, v = leaves["q"], leaves["k"], leaves["v"]

        def launch() -> Tensor:
            out = flex_attention(q, k, v)
            assert isinstance(out, Tensor)  # without auxiliary outputs it is one tensor
            return out

        return Prepared(launch, leaves, layout, "jagged, no mask")


WRITTEN = _OnJagged()
