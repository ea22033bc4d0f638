"""The output of nn.TransformerEncoder is pooled over all positions, padding included.

In eval mode its fast path leaves zeros there, in training values.
Source: torch@2.13.0:torch/nn/modules/transformer.py (`enable_nested_tensor`, `to_padded_tensor(0.0)`).
"""

from __future__ import annotations

import torch
from torch import nn

from attnprobe.device.inputs import Inputs


def written_shows(inputs: Inputs) -> dict[str, float]:
    """The encoder as it is made by default."""
    return _padded(inputs, nested=True)


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """The encoder with `enable_nested_tensor=False`."""
    return _padded(inputs, nested=False)


def _padded(inputs: Inputs, nested: bool) -> dict[str, float]:
    """`padding`: root mean square of the padded rows of an encoder's output in eval mode."""
    case = inputs.case
    width = case.Hq * case.K
    with torch.random.fork_rng():
        torch.manual_seed(case.seed)
        layer = nn.TransformerEncoderLayer(width, case.Hq, 2 * width, 0.0, batch_first=True)
        encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=nested)
    encoder = encoder.to(inputs.device, inputs.dtype).eval()
    tokens = inputs.q.detach().transpose(1, 2).flatten(2)
    lengths = torch.tensor([s.Mq for s in case.sequences], device=inputs.device)
    padding = torch.arange(case.Mq, device=inputs.device) >= lengths[:, None]
    with torch.no_grad():
        out = encoder(tokens, src_key_padding_mask=padding)
    return {"padding": float(out[padding].double().square().mean().sqrt())}
