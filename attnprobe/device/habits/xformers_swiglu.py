"""The MLP next to the attention is `xformers.ops.SwiGLU`, for its fused operator.

Source: xformers@0.0.35:xformers/ops/swiglu_op.py, `SwiGLUOpDispatch.op`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import linear, silu

from attnprobe.device.inputs import Inputs

HIDDEN = 3
"""Width of the hidden layer over that of the model."""

Weights = tuple[Tensor, Tensor, Tensor]


def written_shows(inputs: Inputs) -> dict[str, float]:
    """Hidden tensors that the layer keeps for its backward."""
    from xformers.ops import swiglu

    weights = gate, up, down = _weights(inputs)
    return _kept(lambda x: swiglu(x, gate, None, up, None, down, None), inputs, weights)


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """The same of three lines, partitioned as torch.compile does it: what is cheap is done again."""
    weights = gate, up, down = _weights(inputs)

    def layer(x: Tensor) -> Tensor:
        return linear(silu(linear(x, gate)) * linear(x, up), down)

    torch._dynamo.reset()
    found = _kept(torch.compile(layer, backend="aot_eager_decomp_partition"), inputs, weights)
    torch._dynamo.reset()
    return found


def _rows(inputs: Inputs) -> Tensor:
    """(B * M, H * K): the tokens of the case, all heads side by side."""
    return inputs.q.transpose(1, 2).flatten(2).flatten(0, 1).detach()


def _weights(inputs: Inputs) -> Weights:
    """Of the gate, the other half, and the way back; what is in them does not matter."""
    width = _rows(inputs).shape[1]
    wide, narrow = (
        inputs.q.new_ones(HIDDEN * width, width),
        inputs.q.new_ones(width, HIDDEN * width),
    )
    return wide.requires_grad_(), wide.clone().requires_grad_(), narrow.requires_grad_()


def _kept(layer: Callable[[Tensor], Tensor], inputs: Inputs, weights: Weights) -> dict[str, float]:
    x = _rows(inputs).requires_grad_()
    parameters, held = {w.data_ptr() for w in weights}, set()

    def keep(t: Tensor) -> Tensor:
        if t.numel() == HIDDEN * x.numel() and t.data_ptr() not in parameters:
            held.add(t.data_ptr())
        return t

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        layer(x)
    return {"hidden tensors kept": len(held)}
