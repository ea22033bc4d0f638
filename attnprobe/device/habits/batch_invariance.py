"""A sequence is expected to give the same bits in every batch.

Source: torch@2.13.0:torch/nn/attention/varlen.py (`num_splits`).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from attnprobe.device.backends import sdpa_flash, sdpa_mem_efficient
from attnprobe.device.backends._sdpa import Sdpa
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering.base import Refusal

SHARE = "share of the output that differs"


def written_shows(inputs: Inputs) -> dict[str, float]:
    """Flash splits the keys as the batch asks for."""
    return {SHARE: _differing(sdpa_flash.BACKEND, inputs)}


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """The memory-efficient kernel never splits them."""
    return {SHARE: _differing(sdpa_mem_efficient.BACKEND, inputs)}


def _differing(backend: Sdpa, inputs: Inputs) -> float:
    """The first sequence in its batch, and alone."""
    alone = replace(
        inputs,
        case=inputs.case.edit(B=1),
        **{name: getattr(inputs, name)[:1] for name in ("q", "k", "v", "dout")},
    )
    together = _out(backend, inputs)[:1]
    return float((together != _out(backend, alone)).double().mean())


def _out(backend: Sdpa, inputs: Inputs) -> Tensor:
    call = backend.prepare(inputs)
    if isinstance(call, Refusal):
        raise NotImplementedError("; ".join(call.reasons))
    with call.around(), torch.no_grad():
        return call.launch()
