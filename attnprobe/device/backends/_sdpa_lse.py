"""The log-sum-exp that SDPA's kernels compute and SDPA drops: the same aten operators, called directly.

Shapes for q of (B, H, M, K): flash (B, H, M), mem-efficient (B, H, M rounded up to 32), cuDNN
(B, H, M, 1), all natural logarithms in float32 (torch@2.13.0:torch/_meta_registrations.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def call(
    kernel: str, leaves: dict[str, Tensor], arguments: dict[str, Any]
) -> Callable[[], Tensor] | None:
    """A function that runs the forward of `kernel` and returns its (B, H, M) log-sum-exp, or None.

    None where SDPA does more than call the operator: it pads head dims that are no multiple of 8 for
    the CUDA flash kernel, and repeats keys for kernels that know no grouped heads.
    """
    q, k, v = leaves["q"], leaves["k"], leaves["v"]
    mask, causal = arguments.get("attn_mask"), bool(arguments.get("is_causal"))
    p, scale, M = arguments.get("dropout_p", 0.0), arguments.get("scale"), q.shape[2]
    grouped = q.shape[1] != k.shape[1]

    def cpu_flash() -> Tensor:
        bias = _additive(mask, q)
        op = aten._scaled_dot_product_flash_attention_for_cpu
        return _float32(op(q, k, v, p, causal, attn_mask=bias, scale=scale)[1])

    def cuda_flash() -> Tensor:
        op = aten._scaled_dot_product_flash_attention
        return _float32(op(q, k, v, p, causal, False, scale=scale)[1])

    def mem_efficient() -> Tensor:
        op = aten._scaled_dot_product_efficient_attention
        bias = _aligned(_additive(mask, q), q, k)
        return _float32(op(q, k, v, bias, True, p, causal, scale=scale)[1][:, :, :M])

    def cudnn() -> Tensor:
        op = aten._scaled_dot_product_cudnn_attention
        bias = _additive(mask, q)
        lse = op(q, k, v, bias, True, p, causal, False, scale=scale)[1]
        return _float32(lse.reshape(*lse.shape[:2], -1)[:, :, :M])

    match kernel:
        case "FLASH_ATTENTION" if not q.is_cuda:
            return cpu_flash
        case "FLASH_ATTENTION" if q.shape[-1] % 8 == 0:
            return cuda_flash
        case "EFFICIENT_ATTENTION" if not grouped:
            return mem_efficient
        case "CUDNN_ATTENTION":
            return cudnn
        case _:
            return None


def _float32(lse: Tensor) -> Tensor:
    return lse.detach().to(torch.float32)


def _additive(mask: Tensor | None, q: Tensor) -> Tensor | None:
    """What SDPA makes of a boolean mask before it calls a fused kernel."""
    if mask is None or mask.dtype is not torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=q.dtype).masked_fill_(~mask, float("-inf"))


def _aligned(bias: Tensor | None, q: Tensor, k: Tensor) -> Tensor | None:
    """(B, H, M, N) with rows 16 elements apart, which the mem-efficient kernel wants."""
    if bias is None:
        return None
    N = k.shape[2]
    padded = torch.nn.functional.pad(bias, (0, -N % 16))
    return padded[..., :N].expand(q.shape[0], q.shape[1], q.shape[2], N)
