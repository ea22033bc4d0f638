"""The tensors that a library is called with: native views that are leaves of a graph of their own."""

from __future__ import annotations

import torch
from torch import Tensor

from attnprobe.device.inputs import Inputs
from attnprobe.device.layouts import Layout


def qkv(inputs: Inputs, layout: Layout) -> dict[str, Tensor]:
    """q, k and v in the library's layout, `requires_grad` set as the case asks."""
    case = inputs.case
    return {
        name: layout.native(name, getattr(inputs, name))
        .detach()
        .requires_grad_(case.wants_backward and name in case.grads)
        for name in ("q", "k", "v")
    }


def adopt_bias(leaves: dict[str, Tensor], inputs: Inputs, mask: object) -> object:
    """The additive mask that a lowering built, as a leaf named `bias` when its gradient is wanted.

    A lowering folds the mask into the bias (-inf where nothing may attend) outside the timed call, so
    the leaf is the folded tensor: its gradient is zero where it is -inf, and that of the bias
    elsewhere, once the dimensions that the bias broadcasts over are summed.
    """
    if not inputs.case.wants_bias_grad or not isinstance(mask, Tensor):
        return mask
    leaves["bias"] = mask.detach().requires_grad_()
    return leaves["bias"]


def bias_gradient(inputs: Inputs, gradient: Tensor) -> Tensor:
    """The gradient of the folded tensor, summed to the shape of the bias and rounded once.

    Args:
        inputs: Where the bias is.
        gradient: (M, N), (H, M, N) or (B, H, M, N) where 1 broadcasts, or the (B*H, M, N) of
            nn.MultiheadAttention.
    """
    case, shape = inputs.case, inputs.case.bias_shape
    assert shape is not None
    if gradient.dim() == 3 and gradient.shape[0] == case.B * case.Hq:
        gradient = gradient.reshape(case.B, case.Hq, *gradient.shape[1:])
    while gradient.dim() < 4:
        gradient = gradient.unsqueeze(0)
    dims = [n for n in range(4) if shape[n] == 1 and gradient.shape[n] != 1]
    if not dims:
        return gradient
    return gradient.sum(dims, keepdim=True, dtype=torch.float32).to(gradient.dtype)
