"""A compiled run with dropout is compared, under one seed, with an uncompiled one.

Source: torch@2.13.0:torch/_inductor/config.py (`fallback_random`).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import dropout

from attnprobe.device.inputs import Inputs


def written_shows(inputs: Inputs) -> dict[str, float]:
    """The largest difference of outputs, inductor's own generator against torch's."""
    return _differences(inputs, fallback_random=False)


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """The same where compiled code asks torch's generator."""
    return _differences(inputs, fallback_random=True)


def _differences(inputs: Inputs, fallback_random: bool) -> dict[str, float]:
    q, k, v = inputs.q.float(), inputs.k.float(), inputs.v.float()
    p = inputs.case.dropout_p

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return dropout((q @ k.mT).softmax(-1), p) @ v

    torch._dynamo.reset()
    compiled = torch.compile(attend, options={"fallback_random": fallback_random})
    device = q.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(inputs.case.seed)
        expected = attend(q, k, v)
        torch.manual_seed(inputs.case.seed)
        found = compiled(q, k, v)
    torch._dynamo.reset()
    return {"difference": float((found - expected).abs().max() / expected.abs().max())}
