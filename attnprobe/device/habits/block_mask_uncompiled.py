"""`create_block_mask` is called as it is, not compiled.

What is shown is its peak memory in bytes for each pair of a query and a key.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.attention.flex_attention import BlockMask, create_block_mask

from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering import flex
from attnprobe.device.measure.memory import peak

SEEN = "bytes per pair"


def written_shows(inputs: Inputs) -> dict[str, float]:
    """The mask is made for every pair, and then looked at in blocks."""
    return _shown(inputs, create_block_mask)


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """The compiler fuses the two."""
    torch._dynamo.reset()
    return _shown(inputs, torch.compile(create_block_mask, dynamic=False))


def _shown(inputs: Inputs, create: Callable[..., BlockMask]) -> dict[str, float]:
    case = inputs.case
    mask_mod = flex.mask_mod(case, None)

    def run() -> BlockMask:
        return create(mask_mod, None, None, case.Mq, case.Mkv, device=str(inputs.device))

    found = peak(run, inputs.device, floor_bytes=1)
    if found.bytes is None:
        raise RuntimeError(found.how)
    return {SEEN: found.bytes / (case.Mq * case.Mkv)}
