"""A backend as the attention of a model: its own call and its own backward inside autograd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from attnprobe.core.outcome import Refused
from attnprobe.device.backends.base import Backend
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering.base import Refusal
from attnprobe.device.subject import Declined

NOISE = 4.0
"""Relative errors of the null runs in units of the format's roundoff: a backend that stores q * scale,
S, P and the output in that format rounds four times."""


def exchanged(backend: Backend, like: Inputs) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Attention as `backend` computes it.

    Args:
        backend: Who computes.
        like: Inputs of the case that every call is; their tensors are not used.
    """
    dtype = like.q.dtype

    def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out: Tensor = _Exchanged.apply(q.to(dtype), k.to(dtype), v.to(dtype), backend, like)  # type: ignore[no-untyped-call]  # torch has no types for it
        return out

    return attention


class _Exchanged(torch.autograd.Function):
    """Canonical tensors in and out; what happens between them is the backend's."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, backend: Backend, like: Inputs
    ) -> Tensor:
        given = replace(like, q=q.detach(), k=k.detach(), v=v.detach())
        prepared = backend.prepare(given)
        if isinstance(prepared, Refusal):
            raise Declined(Refused(prepared.by, prepared.reasons, prepared.fix))
        no_autocast = torch.autocast(q.device.type, enabled=False)
        with prepared.around(), torch.enable_grad(), no_autocast:
            native = prepared.launch()
        ctx.prepared, ctx.native = prepared, native
        out: Tensor = prepared.layout.canonical("out", native.detach())
        return out

    @staticmethod
    def backward(ctx: Any, *douts: Tensor) -> tuple[Tensor | None, ...]:
        prepared, native = ctx.prepared, ctx.native
        names = ("q", "k", "v")
        leaves = tuple(prepared.leaves[name] for name in names)
        dout = prepared.layout.native("out", douts[0].to(native.dtype))
        with prepared.around(), torch.enable_grad():
            given = prepared.differentiate(native, leaves, dout)
        found = (
            None if g is None else prepared.layout.canonical(name, g)
            for name, g in zip(names, given, strict=True)
        )
        return (*found, None, None)


def perturbed(like: Inputs, seed: int) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Causal attention in float32 whose results, forward and backward, are off by random roundings.

    Args:
        like: Inputs of the case, for dtype and scale.
        seed: Of the errors.
    """
    case, dtype = like.case, like.q.dtype
    size = NOISE * torch.finfo(dtype).eps / 2.0
    generator = torch.Generator(like.q.device).manual_seed(seed)
    later = torch.ones(case.Mq, case.Mkv, dtype=torch.bool, device=like.q.device).triu(1)

    def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        with torch.autocast(q.device.type, enabled=False):
            q, k, v = (t.to(dtype).float() for t in (q, k, v))
            scores = (q @ k.transpose(2, 3) * case.scale).masked_fill(later, -torch.inf)
            out = scores.softmax(-1) @ v
            errors = torch.randn(out.shape, generator=generator, device=out.device)
            return (out * (1.0 + size * errors)).to(dtype)

    return attention
