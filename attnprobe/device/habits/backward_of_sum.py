"""A benchmark's backward starts from out.sum(), whose gradient is one number expanded.

Source: https://github.com/pytorch/pytorch/issues/138529 (cuDNN's warning) and
https://github.com/pytorch/pytorch/pull/141147.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attnprobe.device.habits import _call
from attnprobe.device.inputs import Inputs
from attnprobe.device.measure import memory

COPIES = "copies of the output beyond a dense gradient's"


def written_shows(inputs: Inputs) -> dict[str, float]:
    """`out.sum().backward()`."""
    return {
        COPIES: _copies(inputs, lambda out: torch.ones_like(out[:1, :1, :1, :1]).expand_as(out))
    }


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """`out.backward(torch.randn_like(out))`, drawn before."""
    return {COPIES: _copies(inputs, torch.randn_like)}


def _copies(inputs: Inputs, gradient: Callable[[Tensor], Tensor]) -> float:
    """How much higher forward and backward peak than with a dense gradient, in outputs."""
    call = _call.prepared(inputs)
    leaves = [leaf for leaf in call.leaves.values() if leaf.requires_grad]

    def peak(dout: Tensor) -> int:
        found = memory.peak(
            lambda: torch.autograd.grad(call.launch(), leaves, dout), inputs.device, 0
        )
        if found.bytes is None:
            raise RuntimeError(found.how)
        return found.bytes

    out = call.launch().detach()
    given, dense = gradient(out), torch.empty_like(out).copy_(inputs.dout)
    size = out.numel() * out.element_size()
    del out
    return (peak(given) - peak(dense)) / size
