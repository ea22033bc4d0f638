"""GPUs as the driver's own library sees them. The only place that imports pynvml (nvidia-ml-py).

NVML needs no CUDA context, so asking disturbs nothing. Names and bits:
https://docs.nvidia.com/deploy/nvml-api/ (device queries, clocks event reasons).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pynvml

from attnprobe.core.environment import Gpu

LIBRARY: Any = pynvml

THROTTLE = {
    0x2: "application clocks are set",
    0x4: "software power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
    0x100: "display clock setting",
}
"""Clocks event reasons that hold clocks down. An idle GPU (0x1) is not held down."""


@dataclass(frozen=True)
class Seen:
    """What NVML says.

    Args:
        driver: Driver version; empty without a driver.
        cuda_driver: CUDA version that the driver supports, `13.0`.
        gpus: One record per GPU.
        gaps: What could not be asked, and why.
    """

    driver: str = ""
    cuda_driver: str = ""
    gpus: tuple[Gpu, ...] = ()
    gaps: tuple[str, ...] = ()


def read(library: Any = pynvml) -> Seen:
    """Asks NVML everything; never raises.

    Args:
        library: The module `pynvml`, or a stand-in.
    """
    try:
        library.nvmlInit()
    except library.NVMLError as error:
        return Seen(gaps=(f"NVML: {error}: no driver, no GPU, or none visible in this container",))
    try:
        return _read(library)
    finally:
        with suppress(library.NVMLError):
            library.nvmlShutdown()


class Asks:
    """Puts queries to NVML; what is not supported here is None and a gap.

    Attributes:
        gaps: Why queries were not answered, each once.

    Args:
        library: The module `pynvml`, initialised, or a stand-in.
    """

    def __init__(self, library: Any) -> None:
        self.library = library
        self.gaps: dict[str, None] = {}

    def __call__(self, query: str, *arguments: Any, older: str = "") -> Any:
        """One query, by its older name if need be."""
        for name in filter(None, (query, older)):
            try:
                answer = getattr(self.library, name)(*arguments)
            except (self.library.NVMLError, AttributeError) as error:
                reason = error
                continue
            return answer.decode() if isinstance(answer, bytes) else answer
        self.gaps[f"NVML: {query.removeprefix('nvml')}: {reason}"] = None
        return None


def _read(library: Any) -> Seen:
    ask = Asks(library)
    cuda = ask("nvmlSystemGetCudaDriverVersion_v2") or 0
    gpus = []
    for index in range(ask("nvmlDeviceGetCount") or 0):
        handle = ask("nvmlDeviceGetHandleByIndex", index)
        if handle is not None:
            gpus.append(_gpu(index, handle, ask, library))
    return Seen(
        driver=ask("nvmlSystemGetDriverVersion") or "",
        cuda_driver=f"{cuda // 1000}.{cuda % 1000 // 10}" if cuda else "",
        gpus=tuple(gpus),
        gaps=tuple(ask.gaps),
    )


def held_by(ask: Asks, handle: Any) -> int | None:
    """Bits of the reasons that hold clocks down now; the query was renamed in driver 535."""
    bits: int | None = ask(
        "nvmlDeviceGetCurrentClocksEventReasons",
        handle,
        older="nvmlDeviceGetCurrentClocksThrottleReasons",
    )
    return bits


def _gpu(index: int, handle: Any, ask: Asks, library: Any) -> Gpu:
    """One GPU: every query may be unsupported (ECC on consumer cards, clocks under MIG)."""

    def pair(now: str, most: str, *which: Any) -> tuple[Any, Any] | None:
        values = ask(now, handle, *which), ask(most, handle, *which)
        return None if None in values else values

    memory = ask("nvmlDeviceGetMemoryInfo", handle)
    power = pair("nvmlDeviceGetPowerUsage", "nvmlDeviceGetEnforcedPowerLimit")  # milliwatts
    ecc = ask("nvmlDeviceGetEccMode", handle)
    mig = ask("nvmlDeviceGetMigMode", handle)
    processes = ask("nvmlDeviceGetComputeRunningProcesses", handle)
    held = held_by(ask, handle)
    return Gpu(
        index=index,
        uuid=ask("nvmlDeviceGetUUID", handle) or "",
        name=ask("nvmlDeviceGetName", handle) or "",
        capability=ask("nvmlDeviceGetCudaComputeCapability", handle),
        memory_bytes=memory and memory.total,
        memory_used_bytes=memory and memory.used,
        sm_clock_mhz=pair(
            "nvmlDeviceGetClockInfo", "nvmlDeviceGetMaxClockInfo", library.NVML_CLOCK_SM
        ),
        memory_clock_mhz=pair(
            "nvmlDeviceGetClockInfo", "nvmlDeviceGetMaxClockInfo", library.NVML_CLOCK_MEM
        ),
        temperature_c=ask("nvmlDeviceGetTemperature", handle, library.NVML_TEMPERATURE_GPU),
        power_w=power and (power[0] / 1000, power[1] / 1000),
        throttle=tuple(words for bit, words in THROTTLE.items() if (held or 0) & bit),
        ecc=ecc and bool(ecc[0]),
        ecc_errors=ask(
            "nvmlDeviceGetTotalEccErrors",
            handle,
            library.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
            library.NVML_VOLATILE_ECC,
        )
        if ecc and ecc[0]
        else None,
        mig=mig and bool(mig[0]),
        processes=None if processes is None else len(processes),
    )
