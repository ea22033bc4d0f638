"""A window of W keys is passed as `window_size=(W, 0)`, whose left side excludes the query's own key.

It is tried with `varlen_attn` on a GPU where that takes the case, else with a dense mask for SDPA that
counts alike. Source: flash-attention README, 2.3: query i attends keys i - left to i + right, inclusive.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.device import backends
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering import varlen
from attnprobe.device.lowering.base import Refusal


class _Window(Backend):
    """The window of the case with some keys more on its left.

    Args:
        name: As a side of the habit.
        more: How many.
    """

    def __init__(self, name: str, more: int) -> None:
        self.name, self._more = name, more

    def claim(self) -> Claim:
        """It says nothing of itself."""
        return Claim(None, "code that people write", self.name)

    def contract(self, case: Case) -> str:
        """That of the call inside."""
        return _inside(case).contract(case)

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """The same tensors, and the mask that the arguments really say."""
        mask = inputs.case.mask
        if mask.left is None:
            return Refusal(("the mask has no left side",))
        case = inputs.case.edit(mask=replace(mask, left=mask.left + self._more))
        return _inside(case).prepare(replace(inputs, case=case))


def _inside(case: Case) -> Backend:
    on_gpu = case.device != "cpu" and case.dtype != "float32"
    takes = on_gpu and not isinstance(varlen.said(case, torch.device("meta")), Refusal)
    return backends.load("varlen" if takes else "sdpa-default")


WRITTEN = _Window("written/window-passed-whole", 1)
MENDED = _Window("mended/window-passed-whole", 0)
