"""The model's soft cap on logits is left out, since SDPA has no argument for it.

Source: torch@2.13.0:torch/nn/functional.py (the signature of scaled_dot_product_attention).
"""

from __future__ import annotations

from dataclasses import replace

from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.device.backends import sdpa_default
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering.base import Refusal


class _Uncapped(Backend):
    """SDPA, told of everything but the cap."""

    name = "written/softcap-dropped"

    def claim(self) -> Claim:
        """It says nothing of itself."""
        return Claim(None, "code that people write", self.name)

    def contract(self, case: Case) -> str:
        """SDPA's."""
        return sdpa_default.BACKEND.contract(case)

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """The same tensors, of a case without a cap."""
        score = replace(inputs.case.score, softcap=None)
        return sdpa_default.BACKEND.prepare(replace(inputs, case=inputs.case.edit(score=score)))


WRITTEN = _Uncapped()
