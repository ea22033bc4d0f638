"""A padding mask and a causal mask, each with finfo.min where it forbids, are added.

The sum of two is -inf, so that in a row in which every key is forbidden those forbidden once stay. The
demonstration pads on the left, as for generation: the lengths of the case are of the last tokens. It
asks SDPA's math kernel, which does as documented in rows without keys; cuDNN's does not.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from attnprobe.device.inputs import Inputs


def written_shows(inputs: Inputs) -> dict[str, float]:
    """Two masks of numbers, added."""
    keep, causal = _masks(inputs)
    least = torch.finfo(inputs.dtype).min
    padding, future = (
        torch.zeros(m.shape, dtype=inputs.dtype, device=inputs.device).masked_fill(~m, least)
        for m in (keep, causal)
    )
    return _future(inputs, padding + future)


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """Two masks of booleans, joined."""
    keep, causal = _masks(inputs)
    return _future(inputs, keep & causal)


def _masks(inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Of the first query: (B, 1, 1, M) true for tokens, and (M,) true up to the diagonal."""
    case = inputs.case
    places = torch.arange(case.Mkv, device=inputs.device)
    first = torch.tensor([case.Mkv - s.Mkv for s in case.sequences], device=inputs.device)
    keep = places >= first[:, None, None, None]
    return keep, places <= 0


def _future(inputs: Inputs, mask: Tensor) -> dict[str, float]:
    """`future`: the most weight that the first query of any sequence puts on later keys."""
    q, k = inputs.q[:, :, :1].detach(), inputs.k.detach()
    later = torch.ones_like(inputs.v)
    later[:, :, 0] = 0.0
    gqa = inputs.case.groups > 1
    with sdpa_kernel([SDPBackend.MATH]):
        out = scaled_dot_product_attention(q, k, later, attn_mask=mask, enable_gqa=gqa)
    return {"future": float(out.double().mean((1, 2, 3)).max())}
