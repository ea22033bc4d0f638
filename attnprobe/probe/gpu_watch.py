"""One GPU while something is timed, through NVML (https://docs.nvidia.com/deploy/nvml-api/)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

from attnprobe.core.conditions import GpuConditions, Neighbour, Spread
from attnprobe.probe import nvml, processes

IDLE = 0x1  # nvmlClocksEventReasonGpuIdle: nothing runs, and clocks sink
HALVES = 8  # samples from which halves are compared
LAST_PERIOD_S = 1.0  # the driver counts a process's activity over periods of up to a second


class NoSuchGpu(Exception):
    """NVML cannot be asked about this device; the text says why."""


@dataclass(frozen=True)
class _Sample:
    sm_mhz: int | None
    memory_mhz: int | None
    milliwatts: int | None
    celsius: int | None
    held: int


class GpuWatch:
    """Looks at one GPU from `begin` to `seen`.

    Args:
        uuid: Identity of the device as CUDA gives it, with or without `GPU-` or `MIG-`: indices mean
            different devices to NVML and, under CUDA_VISIBLE_DEVICES or CUDA_DEVICE_ORDER, to CUDA.
        library: The module `pynvml`, or a stand-in.
        pid: The process whose descendants are ours; None is this one.

    Raises:
        NoSuchGpu: There is no NVML, or it does not know that device.
    """

    def __init__(self, uuid: str, library: Any = nvml.LIBRARY, pid: int | None = None) -> None:
        self._library, self._pid = library, os.getpid() if pid is None else pid
        try:
            library.nvmlInit()  # for the life of this process: it takes longer than all queries
        except library.NVMLError as error:
            raise NoSuchGpu(f"NVML: {error}") from None
        self._ask = nvml.Asks(library)
        self._part = _handle(library, uuid)
        self._board = _board(library, self._part)
        self._samples: list[_Sample] = []
        self._began = time.time()

    @property
    def gaps(self) -> tuple[str, ...]:
        """What could not be asked, and why."""
        return tuple(self._ask.gaps)

    def begin(self) -> None:
        """Forgets what was seen and starts anew."""
        self._samples, self._began = [], time.time()

    def look(self) -> None:
        """One sample. Under MIG clocks, power and temperature are those of the whole board."""
        ask, board = self._ask, self._board
        self._samples.append(
            _Sample(
                sm_mhz=ask("nvmlDeviceGetClockInfo", board, self._library.NVML_CLOCK_SM),
                memory_mhz=ask("nvmlDeviceGetClockInfo", board, self._library.NVML_CLOCK_MEM),
                milliwatts=ask("nvmlDeviceGetPowerUsage", board),
                celsius=ask("nvmlDeviceGetTemperature", board, self._library.NVML_TEMPERATURE_GPU),
                held=nvml.held_by(ask, board) or 0,
            )
        )

    def seen(self) -> GpuConditions:
        """Since `begin`; clocks, power and temperature of the samples in which the GPU had work."""
        busy = [sample for sample in self._samples if not sample.held & IDLE] or self._samples
        clocks = _known(sample.sm_mhz for sample in busy)
        most = self._ask("nvmlDeviceGetMaxClockInfo", self._board, self._library.NVML_CLOCK_SM)
        limit = self._ask("nvmlDeviceGetEnforcedPowerLimit", self._board)
        return GpuConditions(
            sm_clock_mhz=Spread.of(clocks),
            sm_clock_max_mhz=most,
            sm_clock_moved=_moved(clocks),
            memory_clock_mhz=Spread.of(_known(sample.memory_mhz for sample in busy)),
            power_w=Spread.of(mw / 1e3 for mw in _known(sample.milliwatts for sample in busy)),
            power_limit_w=None if limit is None else limit / 1e3,
            temperature_c=Spread.of(_known(sample.celsius for sample in busy)),
            held=_held([sample.held for sample in busy]),
            neighbours=self._neighbours(),
        )

    def _neighbours(self) -> tuple[Neighbour, ...] | None:
        """Everybody else who holds memory or ran kernels here.

        In a container NVML may name processes by ids that mean nothing there. At most one of them is
        then ours: without the busiest, the rest are others, whichever of them we are.
        """
        listed = self._ask("nvmlDeviceGetComputeRunningProcesses", self._part)
        if listed is None:
            return None
        drawing = self._ask("nvmlDeviceGetGraphicsRunningProcesses", self._part) or ()
        computing = [process.pid for process in listed]
        memory = {process.pid: process.usedGpuMemory for process in (*drawing, *listed)}
        ours = processes.ours(self._pid).intersection(memory)
        if not ours and len(computing) == 1:
            ours = frozenset(computing)
        if ours == memory.keys():
            return ()
        activity = self._activity()
        if not ours and computing:
            ours = frozenset({max(computing, key=lambda pid: activity.get(pid, 0.0))})
        return tuple(
            Neighbour(
                processes.name(pid),
                held,
                activity.get(pid, 0.0) if activity else None,
            )
            for pid, held in memory.items()
            if pid not in ours
        )

    def _activity(self) -> dict[int, float]:
        """Share of the time in which each process had kernels on the SMs; empty when not known.

        NVML lists those that had any in a period since the moment given, in microseconds. Some drivers
        add entries that are no percentage (github.com/Syllo/nvtop, issue 110); they are left out.
        """
        since = int((self._began - LAST_PERIOD_S) * 1e6)
        shares: dict[int, list[float]] = {}
        for period in self._ask("nvmlDeviceGetProcessUtilization", self._part, since) or ():
            if period.smUtil <= 100:
                shares.setdefault(period.pid, []).append(period.smUtil / 100)
        return {pid: mean(found) for pid, found in shares.items()}


def _handle(library: Any, uuid: str) -> Any:
    """The device of that identity: a GPU, or an instance of one under MIG."""
    bare = uuid.removeprefix("GPU-").removeprefix("MIG-")
    for kind in ("GPU", "MIG"):
        try:
            return library.nvmlDeviceGetHandleByUUID(f"{kind}-{bare}".encode())
        except library.NVMLError as error:
            reason = error
    raise NoSuchGpu(f"NVML does not know the device that CUDA uses: {reason}")


def _board(library: Any, part: Any) -> Any:
    """The GPU that an instance is part of; a GPU itself is none, and NVML refuses."""
    try:
        return library.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(part)
    except (library.NVMLError, AttributeError):
        return part


def _known(values: Iterable[int | None]) -> list[int]:
    return [value for value in values if value is not None]


def _moved(clocks: Sequence[int]) -> float | None:
    """By which share the median of the second half differs from that of the first: one dip is none."""
    if len(clocks) < HALVES:
        return None
    half = len(clocks) // 2
    first, second = median(clocks[:half]), median(clocks[half:])
    return second / first - 1 if first else None


def _held(bits: Sequence[int]) -> dict[str, float]:
    """By reason the share of samples in which it was in force; those that never were are left out."""
    words = nvml.THROTTLE.items()
    counts = {said: sum(bool(sample & bit) for sample in bits) for bit, said in words}
    return {said: count / len(bits) for said, count in counts.items() if count}
