"""A worker whose timed trials carry what the machine did meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from attnprobe.core.conditions import Conditions
from attnprobe.core.outcome import Measured, Outcome
from attnprobe.core.timing import Timing, Versus
from attnprobe.core.trial import Record, Trial
from attnprobe.info.child import facts
from attnprobe.probe.cpu_watch import CpuWatch
from attnprobe.probe.gpu_watch import GpuWatch, NoSuchGpu
from attnprobe.telemetry import judgement
from attnprobe.telemetry.vigil import Vigil

QUESTIONS = frozenset({"time", "compare"})


class Worker(Protocol):
    """What is needed of a worker (worker/host.py)."""

    listener: Callable[[str], None]

    def require_torch(self) -> None:
        """Raises UnusableHost when trials cannot run."""

    def trial(self, trial: Trial, deadline_s: float) -> Record:
        """One trial and what became of it."""

    def ask(self, message: Mapping[str, Any], deadline_s: float) -> Any:
        """One question; the outcome that kept it from being answered, if any."""

    def abandon(self) -> None:
        """Kills the child."""

    def leave(self) -> None:
        """Called at the end of a thread that asked."""


class Attended:
    """Passes trials on to a worker, and looks at the machine while they are timed.

    Args:
        worker: Runs the trials.
        watch: Opens what looks at the GPU of a UUID.
    """

    def __init__(self, worker: Worker, watch: Callable[[str], GpuWatch] = GpuWatch) -> None:
        self._worker, self._open = worker, watch
        self._cpu = CpuWatch()
        self._gpus: dict[str, tuple[GpuWatch | None, tuple[str, ...]]] = {}

    def require_torch(self) -> None:
        """Raises UnusableHost when trials cannot run."""
        self._worker.require_torch()

    def abandon(self) -> None:
        """Kills the child."""
        self._worker.abandon()

    def leave(self) -> None:
        """Called at the end of a thread that asked."""
        self._worker.leave()

    def trial(self, trial: Trial, deadline_s: float) -> Record:
        """The worker's record, with the conditions where it holds times."""
        if trial.question not in QUESTIONS:
            return self._worker.trial(trial, deadline_s)
        vigil = Vigil(self._cpu, *self._gpu(trial.case.device))
        before, self._worker.listener = self._worker.listener, vigil.heard
        try:
            record = self._worker.trial(trial, deadline_s)
        finally:
            self._worker.listener = before
            seen = vigil.end()
        return record if seen is None else attended(record, seen)

    def _gpu(self, device: str) -> tuple[GpuWatch | None, tuple[str, ...]]:
        """What looks at the device of that name, or why nothing does; found out once."""
        if not device.startswith("cuda"):
            return None, ()
        if device not in self._gpus:
            self._gpus[device] = self._find(int(device.partition(":")[2] or 0))
        return self._gpus[device]

    def _find(self, index: int) -> tuple[GpuWatch | None, tuple[str, ...]]:
        """The child knows the UUID of its devices: only CUDA knows how CUDA counts them."""
        said = facts(self._worker)
        visible = [] if isinstance(said, Outcome) else said["gpus"]
        uuids = [gpu["uuid"] for gpu in visible if gpu["index"] == index]
        if not any(uuids):
            return None, (
                "clocks, power and other processes: torch does not say which GPU it uses",
            )
        try:
            return self._open(uuids[0]), ()
        except NoSuchGpu as error:
            return None, (f"clocks, power and other processes: {error}",)


def attended(record: Record, seen: Conditions) -> Record:
    """The record with these conditions: noted, or its numbers withheld where they cannot be trusted."""
    match record.outcome:
        case Measured(timing=Timing() as timing) as found:
            return replace(record, outcome=replace(found, timing=judgement.of_times(timing, seen)))
        case Measured(versus=Versus() as versus) as found:
            return replace(record, outcome=replace(found, versus=judgement.of_ratios(versus, seen)))
    return record
