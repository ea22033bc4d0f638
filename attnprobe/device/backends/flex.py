"""flex_attention compiled to one Triton (CUDA) or C++ (CPU) kernel for each mask and score.

Source: https://docs.pytorch.org/docs/stable/nn.attention.flex_attention.html. The log-sum-exp is not
asked for: that would compile every case a second time, or time one kernel too many.
"""

from __future__ import annotations

import torch
from torch.nn.attention.flex_attention import flex_attention

from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.device.backends import _flex
from attnprobe.device.backends._claim import asked
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering.base import Refusal


class Flex(Backend):
    """Compiles in the first call, from inductor's disk cache where that has it."""

    name = "flex"
    kernels = r"triton_(tem|flex)|flex_attention|CompiledFxGraph"
    compiles = True

    def claim(self) -> Claim:
        """Whether torch.compile works in this interpreter at all."""

        def ask() -> tuple[bool, str]:
            from torch._dynamo.eval_frame import is_dynamo_supported  # seconds to import

            supported = is_dynamo_supported()
            return supported, "dynamo is supported" if supported else "dynamo is not supported"

        return asked(self, "torch._dynamo.is_dynamo_supported()", ask)

    def contract(self, case: Case) -> str:
        """As the flash kernel of the same device: the CPU one approximates exp too."""
        return "cpu_flash" if case.device == "cpu" else "fused_tc"

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """`fullgraph`: a graph break is an error, not a silent run without compilation."""
        call = torch.compile(flex_attention, fullgraph=True, dynamic=False)
        return _flex.prepare(inputs, call, ask_lse=False)


BACKEND = Flex()
