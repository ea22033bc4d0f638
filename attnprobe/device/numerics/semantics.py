"""What is right or wrong before any number is compared with a bound."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from attnprobe.core.parity import Failure
from attnprobe.device.inputs import Inputs, Outputs
from attnprobe.device.numerics import formats
from attnprobe.device.reference import Reference


def held(name: str, x: Tensor, reference: Reference) -> Tensor:
    """The queries of a backend's tensor for which there is a reference, in float64."""
    if reference.index is not None and name in ("out", "lse", "dq"):
        x = x.index_select(2, reference.index)
    return x.double()


def wanted(inputs: Inputs) -> dict[str, Tensor]:
    """The gradients that the case asks for, with the tensor each belongs to."""
    case = inputs.case
    if not case.wants_backward:
        return {}
    found = {f"d{name}": getattr(inputs, name) for name in case.grads}
    if case.wants_bias_grad and inputs.bias is not None:
        found["dbias"] = inputs.bias
    return found


def form(outputs: Outputs, inputs: Inputs) -> tuple[Failure, ...]:
    """Missing gradients, wrong shapes, wrong dtypes."""
    case, found = inputs.case, []
    likes = {"out": (case.out_shape, inputs.q.dtype), "lse": (case.q_shape[:3], None)}
    for name, like in wanted(inputs).items():
        likes[name] = (tuple(like.shape), like.dtype)
        if getattr(outputs, name) is None:
            found.append(Failure("gradient_missing", f"{name} was asked for and is None", of=name))
    for name, (shape, dtype) in likes.items():
        x = getattr(outputs, name)
        if x is None:
            continue
        if tuple(x.shape) != tuple(shape):
            found.append(Failure("shape", f"{name} is {tuple(x.shape)}, not {tuple(shape)}"))
        elif dtype is not None and x.dtype != dtype:
            found.append(Failure("dtype", f"{name} is {x.dtype}, not {dtype}"))
    return tuple(found)


def empty_rows(
    outputs: Outputs, inputs: Inputs, reference: Reference
) -> tuple[str, tuple[Failure, ...]]:
    """What rows without keys returned, and whether that follows torch's convention: zero.

    torch's SDPA since 2.5, flash-attn and flex return 0. Conventions: zero, nan, mean-v (a finite
    mask value makes every key weigh the same), other. The log-sum-exp of such a row is nobody's
    business but of those who merge by it (laboratory/ring.py): flash kernels differ in it.
    """
    empty = reference.compared & ~reference.has_keys
    if not bool(empty.any()):
        return "", ()
    found, out = [], held("out", outputs.out, reference)[empty]
    count = int(empty.sum())
    if bool((out == 0).all()):
        convention = "zero"
    elif bool(out.isnan().all()):
        convention = "nan"
    else:
        close = _mean_values(inputs, reference)[empty]
        step = 4.0 * formats.of(inputs.case.dtype).u * float(inputs.v.double().abs().max())
        convention = "mean-v" if bool(((out - close).abs() <= step).all()) else "other"
    if convention != "zero":
        says = {"nan": "NaN", "mean-v": "the mean of all values", "other": "other values"}
        found.append(
            Failure(
                "empty_rows",
                f"{count} rows without keys hold {says[convention]}, not 0",
                of="out",
            )
        )
    if outputs.dq is not None:
        dq = held("dq", outputs.dq, reference)[empty]
        if not bool((dq == 0).all()):
            found.append(Failure("empty_rows", "dq of rows without keys is not 0", of="dq"))
    return convention, tuple(found)


def _mean_values(inputs: Inputs, reference: Reference) -> Tensor:
    """Mean of all values of the sequence, for every query."""
    mean = torch.zeros_like(reference.out)
    if reference.index is not None:
        return mean
    for s in inputs.case.sequences:
        v = inputs.v[s.batch, :, s.kv_start : s.kv_start + s.Mkv].to(mean.device)
        v = v.double().mean(1, keepdim=True)
        there = mean[s.batch, :, s.q_start : s.q_start + s.Mq]
        there += v.repeat_interleave(inputs.case.groups, 0)
    return mean


def exact_zeros(outputs: Outputs, reference: Reference) -> tuple[Failure, ...]:
    """Gradients that must be exactly 0: of keys nobody attends, of queries without a cotangent."""
    found = []
    for name in ("dk", "dv"):
        x = getattr(outputs, name)
        if x is None or getattr(reference, name) is None:
            continue
        unattended = ~reference.attended
        wrong = (x != 0).any(-1) & unattended
        if bool(wrong.any()):
            found.append(
                Failure(
                    "leak",
                    f"{name} of {int(wrong.sum())} of {int(unattended.sum())} keys that nobody "
                    f"attends is not 0 (largest {_largest(x[wrong]):g})",
                    of=name,
                )
            )
    if reference.index is not None and outputs.dq is not None:
        others = torch.ones(outputs.dq.shape[2], dtype=torch.bool, device=outputs.dq.device)
        others[reference.index] = False
        if bool((outputs.dq[:, :, others] != 0).any()):
            found.append(Failure("leak", "dq of queries whose cotangent is 0 is not 0", of="dq"))
    return tuple(found)


def _largest(x: Tensor) -> float:
    return float(x.double().abs().nan_to_num(math.inf).max())


def unexpected(x: Tensor, truth: Tensor, compared: Tensor, largest: float) -> Tensor:
    """Elements that are NaN or inf and should not be.

    Where the truth exceeds the format, inf with the truth's sign is right.
    """
    overflows = (truth.abs() > largest) & x.isinf() & (x.sign() == truth.sign())
    return compared & ~x.isfinite() & ~overflows
