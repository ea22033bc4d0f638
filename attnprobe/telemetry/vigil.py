"""A thread that looks at the machine while the child is in its `time` phase."""

from __future__ import annotations

import threading
import time

from attnprobe.core.conditions import Conditions
from attnprobe.probe.cpu_watch import CpuWatch
from attnprobe.probe.gpu_watch import GpuWatch

PERIOD_S = 0.02  # a dozen samples in the shortest timing by default, 0.225 s
PHASE = "time"


class Vigil:
    """Looks on from the moment the child begins to sample times until it does anything else.

    Args:
        cpu: Looks at the CPU.
        gpu: Looks at the GPU; None for a trial on the CPU.
        gaps: What cannot be looked at, and why.
    """

    def __init__(self, cpu: CpuWatch, gpu: GpuWatch | None, gaps: tuple[str, ...] = ()) -> None:
        self._cpu, self._gpu, self._gaps = cpu, gpu, gaps
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._seen: Conditions | None = None

    def heard(self, phase: str) -> None:
        """To be told of every phase that the child begins; a trial that is tried again starts anew."""
        self._rest()
        if phase == PHASE:
            self._stop.clear()
            self._thread = threading.Thread(target=self._look_on, daemon=True)
            self._thread.start()

    def end(self) -> Conditions | None:
        """What was seen; None when no time was taken."""
        self._rest()
        return self._seen

    def _rest(self) -> None:
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None

    def _look_on(self) -> None:
        watches = [watch for watch in (self._cpu, self._gpu) if watch is not None]
        began, samples = time.monotonic(), 0
        for watch in watches:
            watch.begin()
        while not self._stop.is_set():
            for watch in watches:
                watch.look()
            samples += 1
            self._stop.wait(PERIOD_S)
        self._seen = Conditions(
            samples=samples,
            seconds=time.monotonic() - began,
            gpu=self._gpu.seen() if self._gpu else None,
            cpu=self._cpu.seen(),
            gaps=(*self._gaps, *(self._gpu.gaps if self._gpu else ())),
        )
