"""Inside torch.autocast a float32 call stays right, with gradients of the leaves' own type.

Finds a call that mixes what autocast lowered with what it did not (a float32 bias, a saved float32
tensor), and loses a gradient or a factor. A right kernel may compute in float32 or in bfloat16, its
own matmuls may be lowered or not: it is blamed for several times what bfloat16 operands give. An
exception for mixed types is told as what it is.
Source: https://docs.pytorch.org/docs/stable/amp.html
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from attnprobe.core.parity import QUANTITIES, Failure
from attnprobe.device import reference
from attnprobe.device.laboratory import Skipped
from attnprobe.device.numerics import formats
from attnprobe.device.numerics.semantics import wanted
from attnprobe.device.subject import Subject


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """One run inside bfloat16 autocast."""
    case = subject.case
    if case.dtype != "float32" or case.family != "normal":
        return Skipped("autocast is tried on float32 inputs of the family normal")
    if case.dropout_p:
        return Skipped("with dropout, two runs are not alike")
    with torch.autocast(case.device.partition(":")[0], dtype=torch.bfloat16):
        prepared = subject.prepare()
        with prepared.around():
            outputs = subject.launch(prepared).outputs
    truth, found = subject.truth, []
    limits = _limits(subject)
    for name, like in {"out": None, **wanted(subject.inputs)}.items():
        x = getattr(outputs, name)
        if x is None:
            found.append(Failure("gradient_missing", f"inside autocast {name} is missing"))
            continue
        if like is not None and x.dtype != like.dtype:
            found.append(Failure("dtype", f"inside autocast {name} is {x.dtype}, not {like.dtype}"))
        relative = _distance(truth, name, x)
        if not relative <= limits[name]:
            message = f"inside autocast {name} is off by {relative:.2g} of its norm"
            found.append(
                Failure("autocast", f"{message}; bfloat16 operands allow {limits[name]:.2g}")
            )
    return tuple(found)


def _limits(subject: Subject) -> dict[str, float]:
    """What rounding q, k, v and dout to bfloat16 moves, and as much again for each product's operands.

    The rounded operands are one draw of errors of the size that every lowered product may make (q and k
    of the scores; P, dP and dS and what they meet; results): four times it, and four roundings for
    results that these do not move.
    """
    inputs, truth = subject.inputs, subject.truth
    rounded = {
        name: getattr(inputs, name).to(torch.bfloat16).to(inputs.q.dtype)
        for name in ("q", "k", "v", "dout")
    }
    moved = reference.at_home(replace(inputs, **rounded))
    return {
        name: 4 * _distance(truth, name, x) + 4 * formats.of("bfloat16").u
        for name in QUANTITIES
        if (x := getattr(moved, name)) is not None
    }


def _distance(truth: reference.Reference, name: str, x: Tensor) -> float:
    """The norm of what differs over the norm of the truth, where rows have keys."""
    exact = getattr(truth, name)
    error, size = x.to(exact.device).double() - exact, exact
    if name in ("out", "dq"):
        kept = truth.has_keys[..., None].expand_as(exact)
        error, size = error[kept], size[kept]
    return float(error.norm() / size.norm()) if float(size.norm()) else 0.0
