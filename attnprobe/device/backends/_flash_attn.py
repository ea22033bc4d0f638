"""The flash-attn packages called directly; dense calls and packed (varlen) calls.

Sources: https://github.com/Dao-AILab/flash-attention: flash_attn/flash_attn_interface.py (2),
hopper/flash_attn_interface.py (3), flash_attn/cute/interface.py (4). None has a checker of its own, so
what does not depend on the GPU is said here; what does, they say when called.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.device.backends import _leaves
from attnprobe.device.backends._claim import Answer, asked
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.inputs import Inputs
from attnprobe.device.layouts import BMHK, THK, Layout
from attnprobe.device.lowering import flash
from attnprobe.device.lowering.base import Refusal

ASKING_FOR_LSE = ("return_attn_probs", "return_lse", "return_softmax_lse")
"""Names under which the releases hand out the log-sum-exp as their second result."""


class FlashAttn(Backend):
    """One of the flash-attn packages.

    Args:
        version: 2, 3 or 4.
        package: Distribution.
        module: Where `flash_attn_func` and `flash_attn_varlen_func` are.
        kernels: See `Backend`.
        compiles: See `Backend`.
    """

    def __init__(
        self, version: int, package: str, module: str, kernels: str, compiles: bool = False
    ) -> None:
        self.name, self.package, self.kernels = f"flash-attn-{version}", package, kernels
        self._version, self.module, self.compiles = version, module, compiles

    def available(self) -> None:
        """Imports the package's functions."""
        importlib.import_module(self.module)

    def claim(self) -> Claim:
        """It imports; there is no further check in the package."""

        def ask() -> Answer:
            return None, "imports"

        return asked(self, f"import {self.module}", ask)

    def contract(self, case: Case) -> str:
        """What a fused kernel on tensor cores may round."""
        return "fused_tc"

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """(B, M, H, K) to `flash_attn_func`, packed rows to `flash_attn_varlen_func`."""
        reasons = self._refusals(inputs.case)
        lowered = flash.lower(inputs, self._version)
        if isinstance(lowered, Refusal):
            return Refusal((*lowered.reasons, *reasons), lowered.by)
        if reasons:
            return Refusal(reasons, by="library")
        packed = "cu_seqlens_q" in lowered.arguments
        layout: Layout = THK() if packed else BMHK()
        leaves = _leaves.qkv(inputs, layout)
        q, k, v = leaves["q"], leaves["k"], leaves["v"]
        module = importlib.import_module(self.module)
        call = module.flash_attn_varlen_func if packed else module.flash_attn_func

        def launch() -> Tensor:
            given = call(q, k, v, **lowered.arguments)
            out: Tensor = given[0] if isinstance(given, tuple) else given
            return out

        def lse() -> Tensor:
            given = call(q, k, v, **lowered.arguments, **_asking_for_lse(call))
            found: Tensor = given[1]
            found = found.detach().to(torch.float32)
            return found.unsqueeze(0) if packed else found

        return Prepared(
            launch, leaves, layout, lowered.form, lse if _asking_for_lse(call) else None
        )

    def _refusals(self, case: Case) -> tuple[str, ...]:
        found = []
        if not case.device.startswith("cuda"):
            found.append(f"{self.name} has CUDA kernels only, not for {case.device}")
        if case.dtype not in ("float16", "bfloat16"):
            found.append(f"{self.name} takes float16 and bfloat16, not {case.dtype}")
        if case.Kv != case.K and self._version == 2:
            found.append(f"flash-attn 2 has one head dim for keys and values ({case.K}, {case.Kv})")
        if max(case.K, case.Kv) > 256:
            found.append(f"{self.name} takes head dims up to 256, not {max(case.K, case.Kv)}")
        return tuple(found)


def _asking_for_lse(call: Callable[..., Any]) -> dict[str, bool]:
    takes = inspect.signature(call).parameters
    return {name: True for name in ASKING_FOR_LSE if name in takes}
