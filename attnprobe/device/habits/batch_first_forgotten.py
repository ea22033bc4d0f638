"""nn.MultiheadAttention is made without `batch_first=True` and given (B, M, D).

It reads the first dimension as tokens and the second as samples.
Source: torch@2.13.0:torch/nn/modules/activation.py (`batch_first: bool = False`).
"""

from __future__ import annotations

from typing import Any

from torch import nn

from attnprobe.device.backends._mha import Leaves, Mha, forward


def _as_by_default(module: nn.MultiheadAttention, leaves: Leaves, arguments: dict[str, Any]) -> Any:
    module.batch_first = False  # the layer is this call's own
    return forward(need_weights=False)(module, leaves, arguments)


WRITTEN = Mha(
    name="written/batch-first-forgotten",
    contracts={"cpu": "cpu_flash", "cuda": "mem_efficient"},
    call=_as_by_default,
)
