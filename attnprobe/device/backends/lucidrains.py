"""memory_efficient_attention of memory-efficient-attention-pytorch: chunks in Python, checkpointed.

Source: memory-efficient-attention-pytorch@0.1.6:memory_efficient_attention.py, after Rabe and Staats,
arXiv:2112.05682. Everything stays in the storage type, sums over chunks included.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from torch import Tensor

from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.device.backends import _leaves
from attnprobe.device.backends._claim import Answer, asked
from attnprobe.device.backends.base import Backend, Prepared, by_backward
from attnprobe.device.inputs import Inputs
from attnprobe.device.layouts import BHMK, Layout, Repeated
from attnprobe.device.lowering import lucidrains
from attnprobe.device.lowering.base import Refusal

MODULE = "memory_efficient_attention_pytorch.memory_efficient_attention"


class Lucidrains(Backend):
    """Buckets of 512 queries and 1024 keys, the package's defaults."""

    name = "lucidrains"
    package = "memory-efficient-attention-pytorch"
    empty_rows = "mean-v"  # masked scores are -finfo.max

    def available(self) -> None:
        """Imports the package."""
        importlib.import_module(MODULE)

    def claim(self) -> Claim:
        """It imports; there is no further check in the package."""

        def ask() -> Answer:
            return None, "imports"

        return asked(self, f"import {MODULE}", ask)

    def contract(self, case: Case) -> str:
        """Everything is rounded to the storage type, row sums and their gradient included."""
        return "chunked"

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """BHMK; grouped heads as repeated keys and values."""
        lowered = lucidrains.lower(inputs)
        if isinstance(lowered, Refusal):
            return lowered
        groups = inputs.case.groups
        layout: Layout = BHMK() if groups == 1 else Repeated(BHMK(), groups)
        leaves, arguments = _leaves.qkv(inputs, layout), dict(lowered.arguments)
        if "attn_bias" in arguments:
            arguments["attn_bias"] = _leaves.adopt_bias(leaves, inputs, arguments["attn_bias"])
        attend: Callable[..., Tensor] = importlib.import_module(MODULE).memory_efficient_attention

        def launch() -> Tensor:
            return attend(leaves["q"], leaves["k"], leaves["v"], **arguments)

        # The package checkpoints its chunks with the reentrant implementation, which refuses to run
        # under torch.autograd.grad: https://docs.pytorch.org/docs/stable/checkpoint.html
        return Prepared(launch, leaves, layout, lowered.form, differentiate=by_backward)


BACKEND = Lucidrains()
