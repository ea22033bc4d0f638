"""A backend's own call as the attention of a model, on the graph's tensors: nothing is copied."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.nn.functional import scaled_dot_product_attention

from attnprobe.core.case import Case
from attnprobe.device import backends, remembered
from attnprobe.device.backends._flash_attn import FlashAttn
from attnprobe.device.backends._sdpa import Sdpa
from attnprobe.device.backends._xformers import XformersOp, fmha
from attnprobe.device.backends.base import Backend
from attnprobe.device.backends.eager import Eager
from attnprobe.device.backends.flex import Flex
from attnprobe.device.backends.sdpa_default import SdpaDefault
from attnprobe.device.lowering.base import Refusal
from attnprobe.device.training.model import Attention


@dataclass(frozen=True)
class Exchanged:
    """How a model attends.

    Args:
        attention: Causal; (B, H, M, K) queries, keys and values to (B, H, M, K).
        form: How the mask is said.
        around: Selects the kernel.
    """

    attention: Attention
    form: str
    around: Callable[[], AbstractContextManager[object]] = nullcontext


def exchanged(name: str, case: Case) -> Exchanged | Refusal:
    """The call of a backend, or why it does not take the model's attention.

    Args:
        name: Of the backend.
        case: The model's sizes and dtype.
    """
    backend = backends.load(name)
    prepared = backend.prepare(remembered.inputs(case.edit(module="")))
    if isinstance(prepared, Refusal):
        return prepared
    call = _call(backend, case)
    if isinstance(call, Refusal):
        return call
    around = backend.selection if isinstance(backend, Sdpa) else nullcontext
    return Exchanged(call, prepared.form, around)


def _call(backend: Backend, case: Case) -> Attention | Refusal:
    match backend:
        case Sdpa() | SdpaDefault():
            return lambda q, k, v: scaled_dot_product_attention(q, k, v, is_causal=True)
        case XformersOp():
            return _xformers(backend)
        case FlashAttn():
            return _flash_attn(backend)
        case Flex():
            return _flex(case)
        case Eager():
            return written_out
        case _:
            return Refusal((f"a model that calls {backend.name} is not written here",))


def written_out(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(QK^T)V, every score a tensor in memory."""
    scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
    weights = scores.masked_fill(later, -torch.inf).softmax(-1)
    out: Tensor = weights.to(v.dtype) @ v
    return out


def _xformers(backend: XformersOp) -> Attention:
    attend, op = fmha().memory_efficient_attention, backend.operators() if backend.module else None
    causal = importlib.import_module(f"{fmha().__name__}.attn_bias").LowerTriangularMask()

    def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        rows = (t.transpose(1, 2) for t in (q, k, v))
        out: Tensor = attend(*rows, attn_bias=causal, op=op)
        return out.transpose(1, 2)

    return attention


def _flash_attn(backend: FlashAttn) -> Attention:
    call = importlib.import_module(backend.module).flash_attn_func

    def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        given = call(*(t.transpose(1, 2) for t in (q, k, v)), causal=True)
        out: Tensor = given[0] if isinstance(given, tuple) else given
        return out.transpose(1, 2)

    return attention


def _flex(case: Case) -> Attention:
    torch._dynamo.reset()  # it keeps eight versions of a function, then runs it uncompiled
    call = torch.compile(flex_attention, fullgraph=True, dynamic=False)
    mask = create_block_mask(lambda b, h, i, j: i >= j, None, None, case.Mq, case.Mkv, case.device)

    def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out: Tensor = call(q, k, v, block_mask=mask)
        return out

    return attention
