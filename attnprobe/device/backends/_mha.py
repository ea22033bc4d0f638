"""nn.MultiheadAttention with identity projections: the layer, which then equals attention itself.

A product with the identity and a zero bias is exact, so the layer's own cost is measured and no
rounding is added. Sources: torch@2.13.0:torch/nn/modules/activation.py and
torch/nn/functional.py (`multi_head_attention_forward`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.device.backends import _leaves
from attnprobe.device.backends._claim import asked
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.inputs import Inputs
from attnprobe.device.layouts import BME
from attnprobe.device.lowering import mha
from attnprobe.device.lowering.base import Refusal

Leaves = dict[str, Tensor]
Call = Callable[[nn.MultiheadAttention, Leaves, dict[str, Any]], Callable[[], Tensor]]


class Mha(Backend):
    """One way through the layer.

    Args:
        name: Backend name.
        contracts: Numerics contract by device type.
        call: Makes the launch from the layer, the leaves and the lowered arguments.
        materialises: See `Backend`.
        refuse: Reasons beyond those of the lowering.
        empty_rows: See `Backend`.
    """

    def __init__(
        self,
        name: str,
        contracts: dict[str, str],
        call: Call,
        materialises: bool = False,
        refuse: Callable[[Case], tuple[str, ...]] = lambda case: (),
        empty_rows: str = "zero",
    ) -> None:
        self.name, self.materialises, self.empty_rows = name, materialises, empty_rows
        self._contracts, self._call, self._refuse = contracts, call, refuse

    def claim(self) -> Claim:
        """Part of torch; says nothing of itself."""
        return asked(self, "torch.nn.MultiheadAttention", lambda: (True, "part of torch"))

    def contract(self, case: Case) -> str:
        """By device."""
        return self._contracts[case.device.partition(":")[0]]

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """(B, M, H * K) and a layer that projects nothing."""
        lowered = mha.lower(inputs)
        reasons = self._refuse(inputs.case)
        if isinstance(lowered, Refusal):
            return Refusal((*lowered.reasons, *reasons), lowered.by)
        if reasons:
            return Refusal(reasons, by="library")
        layout = BME(inputs.case.Hq)
        leaves, arguments = _leaves.qkv(inputs, layout), dict(lowered.arguments)
        if "attn_mask" in arguments:
            arguments["attn_mask"] = _leaves.adopt_bias(leaves, inputs, arguments["attn_mask"])
        launch = self._call(layer(inputs.case), leaves, arguments)
        return Prepared(launch, leaves, layout, lowered.form)


def layer(case: Case) -> nn.MultiheadAttention:
    """The layer, its weights fixed to the identity; in training mode, so that dropout is applied."""
    made = nn.MultiheadAttention(
        case.Hq * case.K,
        case.Hq,
        dropout=case.dropout_p,
        batch_first=True,
        device=case.device,
        dtype=getattr(torch, case.dtype),
    ).requires_grad_(False)
    identity = torch.eye(case.Hq * case.K)
    made.in_proj_weight.copy_(identity.repeat(3, 1))
    made.out_proj.weight.copy_(identity)
    return made


def forward(need_weights: bool) -> Call:
    """The layer's own forward."""

    def call(
        module: nn.MultiheadAttention, leaves: Leaves, arguments: dict[str, Any]
    ) -> Callable[[], Tensor]:
        q, k, v = leaves["q"], leaves["k"], leaves["v"]

        def launch() -> Tensor:
            out: Tensor = module(q, k, v, need_weights=need_weights, **arguments)[0]
            return out

        return launch

    return call
