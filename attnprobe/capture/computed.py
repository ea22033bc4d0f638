"""A mask that a compiled graph computes, computed again from the graph's inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from attnprobe.capture.hand_written.traced import Part
from attnprobe.capture.hand_written.trail import together
from attnprobe.capture.later import quietly


class Computed:
    """A mask that a graph computes, computed again.

    Args:
        values: Gives its parts of the graph's inputs.
        parts: What each part does; empty for one that is the mask itself.
    """

    def __init__(self, values: Callable[..., tuple[Any, ...]], parts: tuple[Part, ...]) -> None:
        self._values, self._parts = values, parts

    def __call__(self, args: tuple[Any, ...]) -> torch.Tensor:
        """The mask for these inputs."""
        with quietly(_device(args)):
            whole, *others = (self._meant(value, n) for n, value in enumerate(self._values(*args)))
            for other in others:
                whole = together(whole, other)
        return whole

    def _meant(self, value: torch.Tensor, number: int) -> torch.Tensor:
        """True attends, and what is added has its sign."""
        if not self._parts or not self._parts[number].inverted:
            return value
        return ~value if value.dtype == torch.bool else -value


def _device(args: tuple[Any, ...]) -> str:
    return next((a.device.type for a in args if isinstance(a, torch.Tensor)), "cpu")
