"""xFormers' own call as the habits make it; on the CPU with operators that stand for CUTLASS's.

xFormers has no CPU operator, but all that its habits stumble over happens in Python before a kernel is
launched: the validation of shapes and dtypes, each operator's list of what it does not support, the
choice of the backward. On the CPU two operators of our own inherit CUTLASS's lists and compute with
torch, so that the same lines of xFormers say the same there.
Source: xformers@0.0.35:xformers/ops/fmha/{__init__,common,cutlass,dispatch}.py.
"""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor

ALIGNMENT = 8  # elements: 128-bit loads of 2-byte numbers; covers 4-byte ones (cutlass.py)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: object = None,
    dropout_p: float = 0.0,
    **said: Any,
) -> Tensor:
    """`memory_efficient_attention` on (B, M, H, K), or (B, M, G, H, K).

    Raises:
        ModuleNotFoundError: xFormers is not installed.
        ValueError: xFormers does not take the shapes or dtypes.
        NotImplementedError: No operator takes the call.
    """
    from xformers.ops import memory_efficient_attention

    op = stand_ins() if query.device.type == "cpu" else None
    out: Tensor = memory_efficient_attention(query, key, value, bias, dropout_p, op=op, **said)
    return out


def rows(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B, H, M, K) as (B, M, H, K)."""
    return query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)


def floating(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where a boolean mask lets attend, -inf elsewhere; other masks in the dtype of the queries."""
    if mask.dtype != torch.bool:
        return mask.to(dtype)
    return torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, -torch.inf)


def padded(mask: Tensor) -> Tensor:
    """The same values in rows of a multiple of `ALIGNMENT` elements."""
    width = -(-mask.shape[-1] // ALIGNMENT) * ALIGNMENT
    memory = mask.new_zeros(*mask.shape[:-1], width)
    memory[..., : mask.shape[-1]] = mask
    return memory[..., : mask.shape[-1]]


def expanded(mask: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """A view of (B, H, Mq, Mkv), for queries and keys of (B, H, M, K)."""
    return mask.expand(*query.shape[:3], key.shape[2])


def bias_of(query: Tensor, key: Tensor, mask: Tensor | None, is_causal: bool) -> object:
    """SDPA's mask as xFormers wants it: a class, or a floating tensor of padded rows, expanded.

    `is_causal` is aligned top-left, like `LowerTriangularMask`.
    """
    from xformers.ops import LowerTriangularMask

    if mask is not None:
        return expanded(padded(floating(mask, query.dtype)), query, key)
    return LowerTriangularMask() if is_causal else None


def repeated(query: Tensor, x: Tensor) -> Tensor:
    """A key or value head for each query head; `repeat_interleave` copies for a group of one too."""
    groups = query.shape[1] // x.shape[1]
    return x if groups == 1 else x.repeat_interleave(groups, 1)


def well_formed(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    enable_gqa: bool = False,
    **said: Any,
) -> Tensor:
    """SDPA's call as xFormers wants it, heads repeated: (B, H, M, K) in and out."""
    k, v = repeated(query, key), repeated(query, value)
    bias = bias_of(query, k, attn_mask, is_causal)
    q, k, v = rows(query, k, v)
    return attend(q, k, v, bias, **said).transpose(1, 2)


@cache
def stand_ins() -> tuple[type, type]:
    """(FwOp, BwOp) for the CPU: what CUTLASS does not support, they do not either."""
    from xformers.ops.fmha import cutlass, dispatch
    from xformers.ops.fmha.common import Context, Gradients, Inputs

    def unless_of_the_cpu(reasons: list[str]) -> list[str]:
        return [reason for reason in reasons if "A100+" not in reason]  # bfloat16 off CUDA

    class Forward(cutlass.FwOp):  # type: ignore[misc]  # xFormers leaves its classes untyped
        """CUTLASS's forward, computed by torch in float32."""

        OPERATOR = torch.softmax
        SUPPORTED_DEVICES: ClassVar = {"cpu"}
        SUPPORTS_DROPOUT = False
        NAME = "cutlassF on the CPU"
        needed_gradient = False

        @classmethod
        def not_supported_reasons(cls, d: Inputs) -> list[str]:
            return unless_of_the_cpu(super().not_supported_reasons(d))

        @classmethod
        def apply(cls, inp: Inputs, needs_gradient: bool) -> tuple[Tensor, Context]:
            Forward.needed_gradient = needs_gradient
            if (
                needs_gradient
            ):  # xFormers chooses the backward now, unless it is told which, as here
                asked = "memory_efficient_attention_backward"
                dispatch._ensure_op_supports_or_raise(NotImplementedError, asked, Backward, inp)
            out, lse = _plain(inp.query, inp.key, inp.value, inp)
            return out, Context(lse=lse, out=out)

    class Backward(cutlass.BwOp):  # type: ignore[misc]  # xFormers leaves its classes untyped
        """CUTLASS's backward: the forward again, and its derivative."""

        OPERATOR = torch.softmax
        SUPPORTED_DEVICES: ClassVar = {"cpu"}
        NAME = "cutlassB on the CPU"

        @classmethod
        def not_supported_reasons(cls, d: Inputs) -> list[str]:
            return unless_of_the_cpu(super().not_supported_reasons(d))

        @classmethod
        def apply(cls, ctx: Context, inp: Inputs, grad: Tensor) -> Gradients:
            q, k, v = (t.detach().requires_grad_() for t in (inp.query, inp.key, inp.value))
            with torch.enable_grad():
                out, _ = _plain(q, k, v, inp)
            return Gradients(*torch.autograd.grad(out, (q, k, v), grad))

    return Forward, Backward


def _plain(q: Tensor, k: Tensor, v: Tensor, inp: Any) -> tuple[Tensor, Tensor]:
    """(B, M, ..., K) attention in float32, and its log-sum-exp (B, ..., M)."""
    with torch.autocast("cpu", enabled=False):  # which reaches no kernel of xFormers either
        q32, k32, v32 = (t.float().movedim(1, -2) for t in (q, k, v))
        scores = q32 @ k32.mT * inp.scale_float
        bias = inp.attn_bias
        if bias is not None:
            dense = bias if isinstance(bias, Tensor) else bias.materialize(scores.shape)
            scores = scores + dense.float()
        out = scores.softmax(-1) @ v32
        return out.movedim(-2, 1).to(q.dtype), scores.logsumexp(-1)
