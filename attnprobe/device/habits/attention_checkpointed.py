"""The attention call is inside a checkpointed block, which keeps nothing and computes it twice.

Mended, the checkpoint keeps what SDPA's fused operators returned and recomputes the rest.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

FUSED = (
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_flash_attention_for_cpu",
)


def written(query: Tensor, key: Tensor, value: Tensor, **arguments: Any) -> Tensor:
    """As `checkpoint(block, x)` treats all that a block does."""
    call = partial(scaled_dot_product_attention, **arguments)
    out: Tensor = checkpoint(call, query, key, value, use_reentrant=False)
    return out


def mended(query: Tensor, key: Tensor, value: Tensor, **arguments: Any) -> Tensor:
    """Selective checkpointing, torch 2.5 and later."""
    call = partial(scaled_dot_product_attention, **arguments)
    kept = [getattr(torch.ops.aten, name).default for name in FUSED]
    contexts = partial(create_selective_checkpoint_contexts, kept)
    out: Tensor = checkpoint(call, query, key, value, use_reentrant=False, context_fn=contexts)
    return out
