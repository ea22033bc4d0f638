"""torch.nn.attention.varlen.varlen_attn: packed rows, flash underneath (cuDNN too from torch 2.14).

Source: torch@2.13.0:torch/nn/attention/varlen.py. Its log-sum-exp is (H, T), as the fake implementation
says; the docstring says (T, H).
"""

from __future__ import annotations

import inspect

import torch
from torch import Tensor

from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.device.backends import _leaves
from attnprobe.device.backends._claim import Answer, asked
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.inputs import Inputs
from attnprobe.device.layouts import THK
from attnprobe.device.lowering import varlen
from attnprobe.device.lowering.base import Lowered, Refusal


class Varlen(Backend):
    """Full padded tensors count as B sequences of equal length."""

    name = "varlen"
    kernels = r"flash|cudnn|fmha"

    def claim(self) -> Claim:
        """Whether this torch has it."""

        def ask() -> Answer:
            there = varlen.installed() is not None
            return there, "there" if there else f"not in torch {torch.__version__}"

        return asked(self, "torch.nn.attention.varlen", ask)

    def contract(self, case: Case) -> str:
        """What a fused kernel on tensor cores may round."""
        return "fused_tc"

    def lowered(self, inputs: Inputs) -> Lowered | Refusal:
        """Where the sequences start, how long they are, which window; what habits get wrong."""
        return varlen.lower(inputs)

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """THK and cu_seq; CUDA, 16 bits."""
        lowered = self.lowered(inputs)
        reasons = refusals(inputs.case)
        if isinstance(lowered, Refusal):
            return Refusal((*lowered.reasons, *reasons), lowered.by)
        call = varlen.installed()
        if reasons or call is None:
            return Refusal(reasons, by="library")
        layout = THK(inputs.q.shape[0])
        leaves = _leaves.qkv(inputs, layout)
        q, k, v, arguments = leaves["q"], leaves["k"], leaves["v"], lowered.arguments

        def launch() -> Tensor:
            out: Tensor = call(q, k, v, **arguments)
            return out

        def lse() -> Tensor:
            from torch.nn.attention.varlen import AuxRequest  # type: ignore[attr-defined, unused-ignore]

            found: Tensor = call(q, k, v, **arguments, return_aux=AuxRequest(lse=True))[1]
            rows = found.detach().to(torch.float32).reshape(found.shape[0], layout.Bc, -1)
            return rows.transpose(0, 1)

        gives_lse = "return_aux" in inspect.signature(call).parameters
        return Prepared(launch, leaves, layout, lowered.form, lse if gives_lse else None)


def refusals(case: Case) -> tuple[str, ...]:
    """varlen_attn has no checker: its operator is registered for CUDA, its flash kernel is 16-bit."""
    found = []
    if not case.device.startswith("cuda"):
        found.append(f"varlen_attn has CUDA kernels only, not for {case.device}")
    if case.dtype not in ("float16", "bfloat16"):
        found.append(f"varlen_attn takes float16 and bfloat16, not {case.dtype}")
    if case.Kv != case.K:
        found.append(f"varlen_attn has one head dim for keys and values ({case.K}, {case.Kv})")
    return tuple(found)


BACKEND = Varlen()
