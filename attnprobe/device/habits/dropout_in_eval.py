"""`dropout_p` is passed to the functional call whether the module trains or not.

The function drops whenever `dropout_p` is not 0: it knows no module.
Source: torch@2.13.0:torch/nn/functional.py (scaled_dot_product_attention, the warning on dropout).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering import sdpa
from attnprobe.device.lowering.base import Refusal


def written_shows(inputs: Inputs) -> dict[str, float]:
    """Two calls of a model in eval mode that passes its dropout on."""
    return _apart(inputs, inputs.case.dropout_p)


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """Two calls with `dropout_p=0.0 if not self.training`."""
    return _apart(inputs, 0.0)


def _apart(inputs: Inputs, dropout_p: float) -> dict[str, float]:
    """How far two calls lie apart: root mean square, relative to the output without dropout."""
    lowered = sdpa.lower(inputs)
    if isinstance(lowered, Refusal):
        raise NotImplementedError("; ".join(lowered.reasons))
    arguments = lowered.arguments | {"dropout_p": dropout_p}
    torch.manual_seed(inputs.case.seed)

    def call() -> Tensor:
        return scaled_dot_product_attention(inputs.q, inputs.k, inputs.v, **arguments).double()

    with torch.no_grad():
        one, other = call(), call()
        arguments["dropout_p"] = 0.0
        size = call().square().mean().sqrt()
    return {"apart": float((one - other).square().mean().sqrt() / size)}
