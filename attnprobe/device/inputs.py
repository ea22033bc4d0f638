"""Case + seed -> tensors in the case's memory layout. The same recipe gives the same bits everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attnprobe.core.case import Case


@dataclass(frozen=True)
class Inputs:
    """The tensors of one case, canonical: (Bc, H, T, K) views of memory laid out as `case.layout` says.

    Args:
        case: The recipe.
        q: (Bc, Hq, Tq, K).
        k: (Bc, Hkv, Tkv, K).
        v: (Bc, Hkv, Tkv, Kv).
        dout: (Bc, Hq, Tq, Kv): the gradient that flows back into the output.
        bias: `case.bias_shape`, or None.
    """

    case: Case
    q: Tensor
    k: Tensor
    v: Tensor
    dout: Tensor
    bias: Tensor | None = None


@dataclass(frozen=True)
class Outputs:
    """What a backend returned, canonical; None for what was not asked or not given.

    Args:
        out: (Bc, Hq, Tq, Kv).
        lse: (Bc, Hq, Tq), natural log, float32.
        dq: Gradient of q, shaped like q; likewise dk, dv, dbias.
    """

    out: Tensor
    lse: Tensor | None = None
    dq: Tensor | None = None
    dk: Tensor | None = None
    dv: Tensor | None = None
    dbias: Tensor | None = None


def make(case: Case) -> Inputs:
    """Draws the tensors on the CPU, so that every device sees the same bits, then moves them."""
    generator = torch.Generator().manual_seed(case.seed)
    dtype = getattr(torch, case.dtype)

    def draw(shape: tuple[int, ...]) -> Tensor:
        drawn = torch.randn(shape, generator=generator)
        return drawn.to(dtype).to(case.device)

    bias = case.bias_shape
    return Inputs(
        case=case,
        q=draw(case.q_shape),
        k=draw(case.k_shape),
        v=draw(case.v_shape),
        dout=draw(case.out_shape),
        bias=draw(bias) if bias else None,
    )
