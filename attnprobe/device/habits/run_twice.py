"""Two runs of a backward are expected to give the same bits, and nothing asks for that.

Source: https://docs.pytorch.org/docs/stable/notes/randomness.html
"""

from __future__ import annotations

import torch
from torch import Tensor

from attnprobe.device.backends import sdpa_flash
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering.base import Refusal

SHARE = "share of dq that differs"
RUNS = 10


def written_shows(inputs: Inputs) -> dict[str, float]:
    """The flash kernel as it is."""
    return {SHARE: _differing(inputs)}


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """With deterministic algorithms."""
    before = torch.get_deterministic_debug_mode()
    torch.use_deterministic_algorithms(True)
    try:
        return {SHARE: _differing(inputs)}
    finally:
        torch.set_deterministic_debug_mode(before)


def _differing(inputs: Inputs) -> float:
    """Elements of dq that in any of ten runs are not what they are in the first."""
    call = sdpa_flash.BACKEND.prepare(inputs)
    if isinstance(call, Refusal):
        raise NotImplementedError("; ".join(call.reasons))

    def gradient() -> Tensor:
        return torch.autograd.grad(call.launch(), call.leaves["q"], inputs.dout)[0]

    with call.around():
        first = gradient()
        differs = torch.zeros_like(first, dtype=torch.bool)
        for _ in range(RUNS - 1):
            differs |= gradient() != first
    return float(differs.double().mean())
