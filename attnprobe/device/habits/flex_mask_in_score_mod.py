"""FlexAttention's mask is said as a score_mod that returns -inf, not as a BlockMask."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import flex_attention

from attnprobe.device.backends import _flex
from attnprobe.device.backends.base import Prepared
from attnprobe.device.backends.flex import Flex
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering import flex
from attnprobe.device.lowering.base import Refusal


class MaskInScoreMod(Flex):
    """Compiled; right in all values, and blind to blocks."""

    name = "written/flex-mask-in-score-mod"

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """The mask's own predicate, element by element."""
        case = inputs.case
        if not case.score.is_plain or case.lengths is not None:
            return Refusal(("shown for a plain score and full lengths",))
        allowed = flex.mask_mod(case, None)

        def masked(score: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
            return torch.where(allowed(b, h, i, j), score, -float("inf"))

        compiled = torch.compile(flex_attention, fullgraph=True, dynamic=False)

        def call(q: Tensor, k: Tensor, v: Tensor, **said: Any) -> Any:
            del said["block_mask"]
            return compiled(q, k, v, score_mod=masked, **said)

        return _flex.prepare(inputs, call, ask_lse=False)


WRITTEN = MaskInScoreMod()
