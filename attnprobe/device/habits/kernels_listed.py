"""`sdpa_kernel([FIRST, SECOND])` is believed to mean: FIRST, and SECOND where that cannot run.

What is shown is whether torch's own selection takes the first of a list in which both can run.
"""

from __future__ import annotations

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from attnprobe.device.inputs import Inputs

SEEN = "the first of the list runs"
LISTED = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.FLASH_ATTENTION]


def written_shows(inputs: Inputs) -> dict[str, float]:
    """A list says which kernels are allowed."""
    with sdpa_kernel(LISTED):
        return {SEEN: _is_first(inputs)}


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """`set_priority` makes it say which comes first."""
    with sdpa_kernel(LISTED, set_priority=True):
        return {SEEN: _is_first(inputs)}


def _is_first(inputs: Inputs) -> float:
    chosen = torch._fused_sdp_choice(inputs.q, inputs.k, inputs.v, None, 0.0, False)
    return float(chosen == LISTED[0].value)
