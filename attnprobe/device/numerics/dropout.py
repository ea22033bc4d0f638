"""Dropout: which pairs were kept, how many, and whether the backward kept the same ones."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from attnprobe.core.parity import Failure
from attnprobe.device.inputs import Inputs
from attnprobe.device.numerics import exact
from attnprobe.device.numerics.arithmetic import confidence

STEP = 1.0 / 255.0
"""flash-attn compares 8-bit random numbers with floor(255 (1 - p)): the rate comes in such steps.

Source: flash-attention@2.8:csrc/flash_attn/flash_api.cpp, `p_dropout_in_uint8_t`.
"""


def drawn(run: exact.Run, inputs: Inputs) -> Tensor:
    """(Bc, Hq, Tq, Tkv) bool: the pairs that contribute to the output.

    With q = 0 and v a one-hot block of keys, out[i, c] is not 0 exactly where key c is attended and
    kept.

    Args:
        run: The backend, drawing the same pairs in every call (seed it before each).
        inputs: The case's tensors.
    """
    flat, parts = _flat(inputs), []
    for a in range(0, inputs.k.shape[2], inputs.case.Kv):
        n = min(inputs.case.Kv, inputs.k.shape[2] - a)
        v, at = torch.zeros_like(inputs.v), torch.arange(n, device=inputs.v.device)
        v[:, :, a + at, at] = 1.0
        parts.append(run(replace(flat, v=v)).out[..., :n] != 0)
    return torch.cat(parts, -1)


def drawn_backward(run: exact.Run, inputs: Inputs) -> Tensor | None:
    """The same pairs as the gradient of v sees them; None when there is none."""
    flat, case = _flat(inputs), inputs.case
    found = torch.zeros(
        (*case.q_shape[:3], case.k_shape[2]), dtype=torch.bool, device=inputs.q.device
    )
    for a in range(0, inputs.q.shape[2], case.Kv):
        n = min(case.Kv, inputs.q.shape[2] - a)
        at = torch.arange(n, device=inputs.q.device)
        for head in range(case.groups):
            dout = torch.zeros_like(inputs.dout)
            dout[:, head :: case.groups, a + at, at] = 1.0
            dv = run(replace(flat, dout=dout)).dv
            if dv is None:
                return None
            found[:, head :: case.groups, a : a + n] = (dv[..., :n] != 0).mT
    return found


def check(run: exact.Run, inputs: Inputs) -> tuple[Failure, ...]:
    """Masked pairs stay out, the rate is right, forward and backward agree.

    The number kept is binomial: within lambda standard deviations and one STEP of the rate.
    """
    case, found = inputs.case, []
    kept = drawn(run, inputs)
    allowed = exact.allowed(case, inputs.q.device, slice(0, inputs.k.shape[2])).expand_as(kept)
    if bool((kept & ~allowed).any()):
        count = int((kept & ~allowed).sum())
        found.append(Failure("mask", f"{count} masked pairs contribute under dropout"))
    n, p = int(allowed.sum()), case.dropout_p
    share = int((kept & allowed).sum()) / max(n, 1)
    room = confidence(1) * math.sqrt(p * (1 - p) / max(n, 1)) + STEP
    if n and abs(share - (1 - p)) > room:
        message = f"dropout keeps {share:.4f} of {n} pairs, {1 - p:.4f} +- {room:.4f} was asked for"
        found.append(Failure("dropout", message))
    backward = drawn_backward(run, inputs) if case.wants_backward else None
    if backward is not None and not torch.equal(backward, kept):
        count = int((backward != kept).sum())
        found.append(Failure("dropout", f"the backward drops {count} other pairs than the forward"))
    return tuple(found)


def _flat(inputs: Inputs) -> Inputs:
    bias = None if inputs.bias is None else torch.zeros_like(inputs.bias)
    return replace(inputs, q=torch.zeros_like(inputs.q), bias=bias)
