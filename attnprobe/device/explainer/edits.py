"""Problems made from a problem: other masks, other added tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from attnprobe.core.mask import NONE, Mask
from attnprobe.core.score import Bias
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering import dense

Change = Callable[[Tensor], Tensor]
"""From which pairs attend, (..., Mq, Mkv) bool, to which do instead."""


@dataclass(frozen=True)
class Rewritten(Mask):
    """A mask of which a function decides, for every length anew.

    Args:
        base: What the case asks for.
        change: What becomes of it.
    """

    base: Mask = NONE
    change: Change = field(default=lambda keep: keep)

    @property
    def is_none(self) -> bool:
        """Never: nobody knows what the function does."""
        return False

    def allows(self, i: Any, j: Any, Mq: Any, Mkv: Any) -> Any:
        """Reads the changed table."""
        rows = torch.arange(Mq, device=i.device)[:, None]
        columns = torch.arange(Mkv, device=i.device)[None]
        return self.change(self.base.allows(rows, columns, Mq, Mkv))[i, j]


def attend(inputs: Inputs, change: Change) -> Inputs:
    """The same tensors under a changed mask, sequence by sequence."""
    mask = Rewritten(None, None, "top-left", (), inputs.case.mask, change)
    return replace(inputs, case=inputs.case.edit(mask=mask))


def attend_dense(inputs: Inputs, change: Change) -> Inputs:
    """The same tensors under a change of the dense mask that lengths and mask together make.

    Differs from `attend` where sequences have lengths of their own: the table is then
    (B, 1, Mq, Mkv), as kernels with a mask tensor see it.
    """
    case = inputs.case
    if case.lengths is None or case.storage != "padded":
        return attend(inputs, change)
    keep = change(dense.allowed(case, inputs.q.device))
    hidden = torch.zeros(keep.shape, dtype=torch.float64, device=inputs.q.device)
    full = replace(inputs, case=case.edit(mask=NONE, lengths=None))
    return add(full, hidden.masked_fill(~keep, -torch.inf))


def add(inputs: Inputs, tensor: Tensor) -> Inputs:
    """Adds a tensor of four dimensions, full or 1, to what is added already."""
    total = tensor if inputs.bias is None else inputs.bias.double() + tensor
    return biased(inputs, total)


def biased(inputs: Inputs, tensor: Tensor | None) -> Inputs:
    """The same problem with another added tensor, or with none.

    The gradient of the bias stays wanted where the shape is the same.
    """
    case, old = inputs.case, inputs.case.score.bias
    bias = None
    if tensor is not None:
        wanted = old is not None and old.requires_grad and tensor.shape == case.bias_shape
        full = (case.B, case.Hq, case.Mq, case.Mkv)
        B, H, M, N = (n > 1 or n == whole for n, whole in zip(tensor.shape, full, strict=True))
        bias = Bias(B, H, M, N, requires_grad=wanted)
    score = replace(case.score, bias=bias)
    return replace(inputs, case=case.edit(score=score), bias=tensor)
