"""varlen_attn told of other sequences than there are, in memory that held something else before.

Rows that no thread block is launched for keep what the allocator's block held: NaN here, so that what
was not computed shows at once. Source: the output of mha_varlen_fwd is made by `empty_like`, and its
grid by max_seqlen_q (https://github.com/Dao-AILab/flash-attention/blob/v2.8.3/csrc/flash_attn/flash_api.cpp).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from attnprobe.device.backends.base import Prepared
from attnprobe.device.backends.varlen import Varlen
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering.base import Lowered, Refusal


class Told(Varlen):
    """varlen_attn with some of its arguments changed.

    Args:
        name: `written/NAME`.
        changed: What the code passes instead, from what it should pass.
    """

    def __init__(self, name: str, changed: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self.name, self._changed = name, changed

    def lowered(self, inputs: Inputs) -> Lowered | Refusal:
        """The right arguments, and then the others."""
        right = super().lowered(inputs)
        if isinstance(right, Refusal):
            return right
        return replace(right, arguments=right.arguments | self._changed(right.arguments))

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """Each launch finds NaN in the memory that the output is made of."""
        found = super().prepare(inputs)
        if isinstance(found, Refusal):
            return found
        query = found.leaves["q"].detach()

        def launch() -> Tensor:
            torch.full_like(query, torch.nan)  # freed at once: the next of this size gets its block
            return found.launch()

        return replace(found, launch=launch)
