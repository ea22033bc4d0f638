"""Workers that check side by side: how many, and how they share the cores."""

from __future__ import annotations

import os
from collections.abc import Sequence

from attnprobe.core.trial import Trial
from attnprobe.probe.system import cores as usable_cores
from attnprobe.worker.host import Worker

MOST_ON_CPU = 4
MOST_ON_CUDA = 12
"""What a check takes on a GPU is launching from Python, so that cores count. Each child holds a CUDA
context of about half a gigabyte, and the GPU takes turns."""


class Crew:
    """Starts workers when they are first needed and keeps them until it is closed.

    Two children with one thread each check small cases twice as fast as one child with two: the
    tensors are too small to share. Compiled backends compile side by side.

    Args:
        python: The diagnosed interpreter; None is this one.
    """

    def __init__(self, python: str | None) -> None:
        self._python = python
        self._hired: list[Worker] = []

    def workers(self, trials: Sequence[Trial]) -> tuple[Worker, ...]:
        """As many as these trials can use; at least one."""
        cores = usable_cores()
        on_cuda = any(trial.case.device.startswith("cuda") for trial in trials)
        most = min(MOST_ON_CUDA, 3 * cores // 4) if on_cuda else min(MOST_ON_CPU, cores)
        wanted = max(1, min(most, len({trial.case.id for trial in trials})))
        while len(self._hired) < wanted:
            first = self._hired[0].beside() if self._hired else None
            self._hired.append(first or Worker(self._python, _share(max(1, cores // most))))
        return tuple(self._hired[:wanted])

    def rest(self) -> None:
        """Ends the children, which start again when they are asked; what is timed runs alone."""
        for worker in self._hired:
            worker.retire()

    def close(self) -> None:
        """Ends everything."""
        for worker in reversed(self._hired):  # the first one has the server
            worker.close()


def _share(threads: int) -> dict[str, str]:
    """Variables that keep a child to its share of the cores, unless the user has set them."""
    shared = {"OMP_NUM_THREADS": str(threads), "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    return {name: value for name, value in shared.items() if name not in os.environ}
