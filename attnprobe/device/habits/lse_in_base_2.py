"""Parts of attention are merged with exp2 of a log-sum-exp that is a natural logarithm.

FlashInfer's is to base 2, all others' are natural; the merge that is right for one is wrong for the
other. Sources: flashinfer's include/flashinfer/attention/cascade.cuh ("logsumexp values with base 2");
torch@2.13.0:torch/nn/attention/flex_attention.py returns natural logarithms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attnprobe.device.habits._flex_blocks import table


def written(query: Tensor, key: Tensor, value: Tensor, **given: Any) -> Tensor:
    """Weights 2 ** lse."""
    return _merged(torch.exp2, query, key, value, **given)


def mended(query: Tensor, key: Tensor, value: Tensor, **given: Any) -> Tensor:
    """Weights e ** lse."""
    return _merged(torch.exp, query, key, value, **given)


def _merged(
    power: Callable[[Tensor], Tensor],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    **given: Any,
) -> Tensor:
    """A prefix of a quarter of the keys and the rest, each by itself, then both: in float32."""
    groups = query.shape[1] // key.shape[1]
    k, v = (t.float().repeat_interleave(groups, 1) for t in (key, value))
    scores = query.float() @ k.mT * (query.shape[-1] ** -0.5 if scale is None else scale)
    allowed = table(query, key, attn_mask)
    if is_causal:
        allowed = allowed.tril()
    scores = scores.masked_fill(~allowed, -torch.inf)
    top = scores.amax(-1, keepdim=True).detach().nan_to_num(neginf=0.0)
    prefix = max(1, key.shape[2] // 4)
    parts = [
        _part(scores[..., keys] - top, v[..., keys, :])
        for keys in (slice(prefix), slice(prefix, None))
    ]
    weights = torch.stack([power(lse) for _, lse in parts])
    shares = weights / weights.sum(0).clamp_min(_TINY)
    outs = torch.stack([out for out, _ in parts])
    return (shares * outs).sum(0).to(query.dtype)


_TINY = torch.finfo(torch.float32).tiny


def _part(scores: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Output and natural log-sum-exp of some keys, those of the row's maximum taken away."""
    weights = scores.exp()
    total = weights.sum(-1, keepdim=True).clamp_min(_TINY)
    return weights @ value / total, total.log()
