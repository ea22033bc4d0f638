"""Inside torch.autocast a float32 call stays right, with gradients of the leaves' own type.

Finds a call that mixes what autocast lowered with what it did not (a float32 bias, a saved float32
tensor), and loses a gradient or a factor. A right kernel may compute in float32 or in bfloat16, its
own matmuls may be lowered or not: only errors of more than a tenth of the result's norm are blamed,
several times what bfloat16 operands give. An exception for mixed types is told as what it is.
Source: https://docs.pytorch.org/docs/stable/amp.html
"""

from __future__ import annotations

import torch

from attnprobe.core.parity import Failure
from attnprobe.device.laboratory import Skipped
from attnprobe.device.numerics.judge import NO_POWER
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
    for name, like in {"out": None, **wanted(subject.inputs)}.items():
        x, exact = getattr(outputs, name), getattr(truth, name)
        if x is None:
            found.append(Failure("gradient_missing", f"inside autocast {name} is missing"))
            continue
        if like is not None and x.dtype != like.dtype:
            found.append(Failure("dtype", f"inside autocast {name} is {x.dtype}, not {like.dtype}"))
        kept = truth.has_keys[..., None].expand_as(exact) if name in ("out", "dq") else None
        error, size = x.double() - exact, exact
        if kept is not None:
            error, size = error[kept], size[kept]
        relative = float(error.norm() / size.norm()) if float(size.norm()) else 0.0
        if not relative <= NO_POWER:
            message = f"inside autocast {name} is off by {relative:.2g} of its norm"
            found.append(Failure("autocast", message))
    return tuple(found)
