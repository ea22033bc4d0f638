"""What a measurement must know of the thing that is timed: an attention call, or a layer around one."""

from __future__ import annotations

from typing import Protocol, TypeVar

import torch
from torch import Tensor

from attnprobe.core.case import Case
from attnprobe.core.cost import Demand


class Given(Protocol):
    """The inputs of one case; `device/inputs.py: Inputs` is one, and a layer's are another."""

    @property
    def case(self) -> Case:
        """The recipe: its `passes` say what is timed."""
        ...

    @property
    def dout(self) -> Tensor:
        """The gradient that flows back into the output, canonical."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it is timed."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """The dtype whose matmul rate is the limit."""
        ...

    @property
    def demand(self) -> Demand:
        """What any implementation needs."""
        ...


G = TypeVar("G", bound=Given)
