"""The gradient that flows in may lie in memory in any way.

Finds a backward that reads it as if it were contiguous: `out.sum().backward()` hands in a scalar
expanded to the output's shape, a transpose behind attention hands in transposed memory, a slice a
last stride of 2. A right kernel reads strides or makes a copy. Each form is held to the reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from attnprobe.core.parity import Failure
from attnprobe.device import reference
from attnprobe.device.inputs import Inputs
from attnprobe.device.laboratory import Skipped, _judged
from attnprobe.device.subject import Subject


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """One backward for each way to lie in memory."""
    case = subject.case
    hindrance = _judged.gradient_hindrance(subject)
    if hindrance is not None:
        return hindrance
    found: list[Failure] = []
    truth = subject.truth
    for words, dout in _forms(subject.inputs.dout):
        inputs = replace(subject.inputs, dout=dout)
        wrong = _judged.failures(subject, subject.run(inputs), inputs, truth)
        found += _judged.renamed(wrong, "strided_gradient", f"gradient of the output {words}")
    if case.lengths is None:
        found += _expanded(subject)
    return tuple(found)


def _forms(dout: Tensor) -> Iterator[tuple[str, Tensor]]:
    """The same values elsewhere."""
    yield "transposed in memory", dout.transpose(1, 2).contiguous().transpose(1, 2)
    yield "with heads outermost", dout.transpose(0, 1).contiguous().transpose(0, 1)
    wide = dout.new_zeros(*dout.shape[:-1], 2 * dout.shape[-1])
    wide[..., ::2] = dout
    yield "with a last stride of 2", wide[..., ::2]
    columns = dout.transpose(2, 3).contiguous().transpose(2, 3)
    yield "with columns outermost", columns


def _expanded(subject: Subject) -> tuple[Failure, ...]:
    """What `out.sum().backward()` hands in."""
    ones = torch.ones((), dtype=subject.inputs.dout.dtype, device=subject.inputs.dout.device)
    inputs: Inputs = replace(subject.inputs, dout=ones.expand(subject.inputs.dout.shape))
    whole = replace(inputs, dout=inputs.dout.contiguous())
    truth = reference.at_home(whole)
    wrong = _judged.failures(subject, subject.run(whole), whole, truth)
    if wrong:
        return _judged.renamed(wrong, "accuracy", "gradient of the output all ones")
    wrong = _judged.failures(subject, subject.run(inputs), inputs, truth)
    return _judged.renamed(wrong, "strided_gradient", "gradient of the output one expanded number")
