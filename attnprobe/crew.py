"""Workers that check side by side: how many, and how they share the cores."""

from __future__ import annotations

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
        worker: Whose server the children come from; it is closed after the crew.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._hired: list[Worker] = []

    def workers(self, trials: Sequence[Trial]) -> tuple[Worker, ...]:
        """As many as these trials can use; at least one."""
        cores = usable_cores()
        on_cuda = any(trial.case.device.startswith("cuda") for trial in trials)
        most = min(MOST_ON_CUDA, 3 * cores // 4) if on_cuda else min(MOST_ON_CPU, cores)
        wanted = max(1, min(most, len({trial.case.id for trial in trials})))
        while len(self._hired) < wanted:
            self._hired.append(self._worker.beside(max(1, cores // most)))
        return tuple(self._hired[:wanted])

    def rest(self) -> None:
        """Ends the children, which start again when they are asked; what is timed runs alone."""
        for worker in self._hired:
            worker.retire()

    def close(self) -> None:
        """Ends everything."""
        for worker in self._hired:
            worker.close()
