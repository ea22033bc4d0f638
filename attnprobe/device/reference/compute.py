"""Reference attention."""

from __future__ import annotations

from torch import Tensor

from attnprobe.device.inputs import Inputs
from attnprobe.device.reference.record import Reference


def compute(inputs: Inputs, rows: Tensor | None = None) -> Reference:
    """The reference of a case.

    Args:
        inputs: The tensors of the case.
        rows: Queries whose cotangent counts (the others' is taken as 0); None for all.
    """
    raise NotImplementedError
