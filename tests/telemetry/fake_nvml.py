"""An NVML whose answers change from one look to the next."""
# ruff: noqa: N802 - the names are those of NVML

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from types import SimpleNamespace
from typing import Any


class NotSupported(Exception):
    """Stands for pynvml.NVMLError."""


def process(pid: int, memory: int | None = None) -> SimpleNamespace:
    return SimpleNamespace(pid=pid, usedGpuMemory=memory)


def active(pid: int, percent: int) -> SimpleNamespace:
    return SimpleNamespace(pid=pid, smUtil=percent)


class FakeNvml:
    """The queries of probe/gpu_watch.py on one GPU, `GPU-aa11`, or on an instance of it, `MIG-bb22`.

    Args:
        clocks: SM clock at every look; the last one stays.
        held: Bits of the reasons at every look; the last ones stay.
        processes: Compute processes; an exception is raised.
        utilisation: Activity by process; an exception is raised.
        drawing: Processes that draw.
    """

    NVMLError = NotSupported
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0

    def __init__(
        self,
        clocks: Sequence[int] = (1980,),
        held: Sequence[int] = (0,),
        processes: Sequence[Any] | Exception = (),
        utilisation: Sequence[Any] | Exception = (),
        drawing: Sequence[Any] = (),
        driver: bool = True,
    ) -> None:
        self._clocks, self._held = _lasting(clocks), _lasting(held)
        self._processes, self._utilisation, self._driver = processes, utilisation, driver
        self._drawing = drawing
        self.since: list[int] = []
        self.asked: list[tuple[str, str]] = []

    def nvmlInit(self) -> None:
        if not self._driver:
            raise NotSupported("Driver Not Loaded")

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes) -> str:
        if uuid not in (b"GPU-aa11", b"MIG-bb22"):
            raise NotSupported("Not Found")
        return uuid.decode()

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, handle: str) -> str:
        if handle != "MIG-bb22":
            raise NotSupported("Invalid Argument")
        return "GPU-aa11"

    def nvmlDeviceGetClockInfo(self, handle: str, which: int) -> int:
        self.asked.append(("clock", handle))
        return next(self._clocks) if which == self.NVML_CLOCK_SM else 3201

    def nvmlDeviceGetMaxClockInfo(self, handle: str, which: int) -> int:
        return 1980

    def nvmlDeviceGetPowerUsage(self, handle: str) -> int:
        return 650_500

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: str) -> int:
        return 700_000

    def nvmlDeviceGetTemperature(self, handle: str, which: int) -> int:
        return 61

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: str) -> int:
        return next(self._held)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: str) -> Sequence[Any]:
        self.asked.append(("processes", handle))
        return _or_raised(self._processes)

    def nvmlDeviceGetGraphicsRunningProcesses(self, handle: str) -> Sequence[Any]:
        return self._drawing

    def nvmlDeviceGetProcessUtilization(self, handle: str, since: int) -> Sequence[Any]:
        self.since.append(since)
        return _or_raised(self._utilisation)


def _lasting(values: Sequence[int]) -> Iterator[int]:
    return chain(values, repeat(values[-1]))


def _or_raised(answer: Sequence[Any] | Exception) -> Sequence[Any]:
    if isinstance(answer, Exception):
        raise answer
    return answer
