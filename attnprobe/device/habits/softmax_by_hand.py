"""Attention is written out as matmul, softmax, matmul in the tensors' own format.

Scores and probabilities are stored in 16 bits where the inputs are; what is masked becomes -inf.
Source: Vaswani et al., arXiv:1706.03762, equation 1, as tutorials write it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from attnprobe.device.inputs import Inputs

STRESS = 64.0
"""By this the queries and keys of the demonstration grow: 64 * 64 * sqrt(K) is the deviation of a
product, half of what float16 holds at K = 64."""

ROWS = 512
"""Queries that a demonstration looks at, so that scores in float64 stay small."""


def written(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """The product is scaled after it was stored."""
    groups = query.size(1) // key.size(1)
    k, v = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    scores = query @ k.transpose(-2, -1) * (query.size(-1) ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = scores.new_ones(scores.shape[-2:], dtype=torch.bool).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return functional.dropout(scores.softmax(-1), dropout_p) @ v


def written_shows(inputs: Inputs) -> dict[str, float]:
    """Errors of the call written out."""
    return _errors(inputs, written)


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """Errors of SDPA."""
    return _errors(inputs, functional.scaled_dot_product_attention)


def _some(inputs: Inputs) -> tuple[Tensor, Tensor, Tensor]:
    """About ROWS queries, of as few heads and samples as hold them, with all their keys."""
    case = inputs.case
    queries = min(case.Mq, ROWS)
    heads = min(case.Hkv, -(-ROWS // (queries * case.groups)))
    samples = min(case.B, -(-ROWS // (queries * case.groups * heads)))
    q = inputs.q[:samples, : heads * case.groups, :queries].detach()
    k, v = (t[:samples, :heads].detach() for t in (inputs.k, inputs.v))
    return q, k, v


def _errors(inputs: Inputs, call: Callable[..., Tensor]) -> dict[str, float]:
    """The call without a mask, as `error` and `lost`.

    `error` is the root mean square over that of the truth, in units of the format's roundoff; `lost` the
    share of rows that are not finite once queries and keys are STRESS times as large.
    """
    q, k, v = _some(inputs)
    gqa = inputs.case.groups > 1
    truth = written(q.double(), k.double(), v.double())
    error = call(q, k, v, enable_gqa=gqa).double() - truth
    large = call(q * STRESS, k * STRESS, v, enable_gqa=gqa)
    relative = error.square().mean().sqrt() / truth.square().mean().sqrt()
    return {
        "error": float(relative) / (torch.finfo(q.dtype).eps / 2),
        "lost": 1.0 - float(large.isfinite().all(-1).double().mean()),
    }
