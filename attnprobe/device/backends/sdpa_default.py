"""SDPA with torch's own choice of kernel: what a user gets who selects nothing.

Source: `torch._fused_sdp_choice` (aten/src/ATen/native/transformers/sdp_utils.cpp); the choice is
part of the form that the trial reports.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend

from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.device.backends import _sdpa
from attnprobe.device.backends._claim import asked
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering.base import Refusal


class SdpaDefault(Backend):
    """Never refuses: the math kernel takes everything."""

    name = "sdpa-default"

    def claim(self) -> Claim:
        """Which kernels are switched on."""
        on = [name for name, enabled in _sdpa.FLAGS.items() if enabled()]
        source = "torch.backends.cuda.*_sdp_enabled()"
        return asked(self, source, lambda: (bool(on), f"enabled: {', '.join(on)}"))

    def contract(self, case: Case) -> str:
        """That of the loosest kernel which may be chosen."""
        return "cpu_flash" if case.device == "cpu" else "mem_efficient"

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """Lowers the mask and notes which kernel torch says it would take."""
        chosen: list[str] = []

        def ask(leaves: dict[str, Tensor], arguments: dict[str, Any]) -> tuple[str, ...]:
            choice = torch._fused_sdp_choice(
                leaves["q"],
                leaves["k"],
                leaves["v"],
                arguments.get("attn_mask"),
                arguments.get("dropout_p", 0.0),
                bool(arguments.get("is_causal")),
                scale=arguments.get("scale"),
                enable_gqa=bool(arguments.get("enable_gqa")),
            )
            chosen.append(SDPBackend(choice).name)
            return ()

        prepared = _sdpa.prepare(inputs, nullcontext, ask, kernel="")
        if isinstance(prepared, Refusal):
            return prepared
        return replace(prepared, form=f"{prepared.form} -> {chosen[0]}")


BACKEND = SdpaDefault()
