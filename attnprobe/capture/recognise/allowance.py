"""Looking at masks costs at most a fixed share of the time that passes."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

import torch

SHARE = 0.005
"""Of the time since the first mask was seen."""

PASSES = 30
"""How often a mask's elements are read or written on a GPU, at most."""

BYTES_PER_SECOND = 1e12
"""What a GPU reads and writes at least, for an estimate that waits for nobody."""


class Allowance:
    """Grants the first mask of each kind, and others while their cost stays below `SHARE`.

    Args:
        now: A clock, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._started: float | None = None
        self._spent = 0.0
        self._known = set[Hashable]()

    def grants(self, signature: Hashable) -> bool:
        """Whether a mask may be looked at.

        Args:
            signature: What kind of mask: its shape, strides, dtype.
        """
        if self._started is None:
            self._started = self._now()
        if signature not in self._known:
            self._known.add(signature)
            return True
        return self._spent <= SHARE * (self._now() - self._started)

    def spend(self, seconds: float, mask: torch.Tensor) -> None:
        """Notes what a look cost.

        Args:
            seconds: Of the host.
            mask: Its size tells what a GPU has still to do.
        """
        later = mask.is_cuda * mask.numel() * mask.element_size() * PASSES / BYTES_PER_SECOND
        self._spent += seconds + later
