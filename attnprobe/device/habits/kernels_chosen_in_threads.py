"""`with sdpa_kernel(...)` around a call in a process whose other threads call attention too.

What is shown is whether another thread, which selected nothing, still has flash.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from attnprobe.device.inputs import Inputs

SEEN = "flash enabled in another thread"


def written_shows(inputs: Inputs) -> dict[str, float]:
    """While one thread is inside the context."""
    with sdpa_kernel(SDPBackend.MATH):
        return {SEEN: _elsewhere()}


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """Without a context; the process begins with every kernel on."""
    return {SEEN: _elsewhere()}


def _elsewhere() -> float:
    with ThreadPoolExecutor(1) as other:
        return float(other.submit(torch.backends.cuda.flash_sdp_enabled).result())
