"""The mask_mod of FlexAttention reads a Python number that changes from call to call.

What is shown is how many graphs four widths of a window take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from attnprobe.device.habits import _graphs
from attnprobe.device.inputs import Inputs

WIDTHS = (32, 64, 96, 128)


def written_shows(inputs: Inputs) -> dict[str, float]:
    """Numbers are constants of the compiled code, and guarded."""
    return _graphs.counted(flex_attention, _calls(inputs, lambda width: width))


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """Tensors are its inputs."""
    wrapped = _calls(inputs, lambda width: torch.tensor(width, device=inputs.device))
    return _graphs.counted(flex_attention, wrapped)


def _calls(inputs: Inputs, said: Callable[[int], int | Tensor]) -> Iterator[tuple[Any, ...]]:
    """Positional arguments of flex_attention, one call for each width."""
    case = inputs.case
    q, k, v = inputs.q.detach()[:, : case.Hkv], inputs.k.detach(), inputs.v.detach()
    for width in WIDTHS:
        mask_mod, device = _window(said(width)), str(inputs.device)
        blocks = create_block_mask(mask_mod, None, None, case.Mq, case.Mkv, device=device)
        yield q, k, v, None, blocks


def _window(width: int | Tensor) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """The one function that all widths share."""

    def mask_mod(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return i - j < width

    return mask_mod
