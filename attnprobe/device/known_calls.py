"""Calls that no backend makes, because they are known to go wrong: each shows one published bug.

They have SDPA's signature, so that they are run and judged like a user's own callable; what a library
says when it rejects the call becomes a refusal. The bugs are described in `attnprobe/known_bugs`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def keys_one_short(query: Tensor, key: Tensor, value: Tensor, **given: Any) -> Tensor:
    """SDPA on all values and all keys but the last (B, H, M, K); the memory behind them is the last.

    Raises:
        NotImplementedError: torch rejects the lengths, as it should.
    """
    try:
        return scaled_dot_product_attention(query, key[:, :, :-1], value, **given)
    except (RuntimeError, ValueError) as error:
        raise NotImplementedError(str(error)) from error


def flex_on_jagged(query: Tensor, key: Tensor, value: Tensor, **given: Any) -> Tensor:
    """flex_attention on one jagged nested tensor of B sequences, (B, H, M, K) in and out.

    Raises:
        NotImplementedError: This torch rejects nested tensors there.
    """
    from torch.nn.attention.flex_attention import flex_attention

    def jagged(t: Tensor) -> Tensor:
        rows = [sequence.transpose(0, 1) for sequence in t]  # (M, H, K) of every sequence
        return torch.nested.nested_tensor(rows, layout=torch.jagged).transpose(1, 2)

    try:
        out = flex_attention(jagged(query), jagged(key), jagged(value))
    except (RuntimeError, ValueError, TypeError) as error:
        raise NotImplementedError(str(error)) from error
    assert isinstance(out, Tensor)  # without auxiliary outputs it is one tensor
    return torch.stack(list(out.transpose(1, 2).unbind())).transpose(1, 2)


def xformers_triangular_bias(query: Tensor, key: Tensor, value: Tensor, **given: Any) -> Tensor:
    """Causal attention with a tensor bias of zeros in xFormers' own class for it.

    Raises:
        NotImplementedError: xFormers is not installed, or has no operator for the class.
    """
    try:
        from xformers.ops import LowerTriangularMask, memory_efficient_attention
    except ImportError as error:
        raise NotImplementedError(f"xformers cannot be imported: {error}") from error
    B, H, M, _ = query.shape
    bias = LowerTriangularMask().add_bias(query.new_zeros(B, H, M, key.shape[2]))
    q, k, v = (t.transpose(1, 2) for t in (query, key, value))
    out: Tensor = memory_efficient_attention(q, k, v, attn_bias=bias)
    return out.transpose(1, 2)
