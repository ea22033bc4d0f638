"""flex_attention without torch.compile: the same semantics, every score in memory.

Source: torch@2.13.0:torch/nn/attention/flex_attention.py warns that it "materializes the full scores
matrix"; torch/_higher_order_ops/flex_attention.py (`math_attention`) is what runs.
"""

from __future__ import annotations

from torch.nn.attention.flex_attention import flex_attention

from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.device.backends import _flex
from attnprobe.device.backends._claim import asked
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering.base import Refusal


class FlexEager(Backend):
    """Scores in float32, probabilities rounded to the storage type."""

    name = "flex-eager"
    materialises = True
    compiles = True  # dynamo traces the score_mod, without a compiler behind it

    def claim(self) -> Claim:
        """Part of torch since 2.5; says nothing of itself."""
        return asked(self, "torch.nn.attention.flex_attention", lambda: (True, "part of torch"))

    def contract(self, case: Case) -> str:
        """Its own."""
        return "flex_eager"

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """BlockMask and score_mod; no backward on the CPU."""
        return _flex.prepare(inputs, flex_attention, ask_lse=True)


BACKEND = FlexEager()
