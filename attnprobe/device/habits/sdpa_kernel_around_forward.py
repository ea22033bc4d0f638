"""`sdpa_kernel(...)` stands around the forward of a checkpointed call, and the backward outside it.

Source: torch@2.13.0:torch/utils/checkpoint.py: what is recomputed must save the same tensors again.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint


def written(query: Tensor, key: Tensor, value: Tensor, **arguments: Any) -> Tensor:
    """The recomputation in the backward chooses its kernel without the context."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return scaled_dot_product_attention(q, k, v, **arguments)

    with sdpa_kernel(SDPBackend.MATH):
        out: Tensor = checkpoint(attend, query, key, value, use_reentrant=False)
    return out


def mended(query: Tensor, key: Tensor, value: Tensor, **arguments: Any) -> Tensor:
    """The context is part of what is recomputed."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        with sdpa_kernel(SDPBackend.MATH):
            return scaled_dot_product_attention(q, k, v, **arguments)

    out: Tensor = checkpoint(attend, query, key, value, use_reentrant=False)
    return out
