"""Every batch keeps the length that it happens to have; none is rounded up to a bucket.

What is shown is the call of cuDNN's kernel: how much longer the first one takes at a length than the
second.
"""

from __future__ import annotations

import statistics
import time

from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from attnprobe.device.habits import _call
from attnprobe.device.inputs import Inputs

BATCHES = 8
RATIO = "first call over second"


def written_shows(inputs: Inputs) -> dict[str, float]:
    """Batches of as many lengths."""
    return {
        RATIO: _first_over_second(inputs, [inputs.case.Mq - 3 * n for n in range(1, BATCHES + 1)])
    }


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """All of them padded to one length, which was seen before."""
    _first_over_second(inputs, [inputs.case.Mq])
    return {RATIO: _first_over_second(inputs, [inputs.case.Mq] * BATCHES)}


def _first_over_second(inputs: Inputs, lengths: list[int]) -> float:
    """The median over the batches."""
    ratios = []
    with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
        for n in lengths:
            q, k, v = (x[:, :, :n].contiguous() for x in (inputs.q, inputs.k, inputs.v))
            taken = []
            for _ in range(2):
                _call.wait(inputs.device)
                start = time.perf_counter()
                scaled_dot_product_attention(q, k, v, enable_gqa=inputs.case.groups > 1)
                _call.wait(inputs.device)
                taken.append(time.perf_counter() - start)
            ratios.append(taken[0] / taken[1])
    return statistics.median(ratios)
