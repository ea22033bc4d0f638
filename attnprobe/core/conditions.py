"""What the machine did while a trial was timed: clocks, power, temperature, and who else used it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Spread:
    """A quantity that was sampled: its least, median and greatest value."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """The spread of these values; None when there are none."""
        taken = list(values)
        return cls(min(taken), median(taken), max(taken)) if taken else None


@dataclass(frozen=True)
class Neighbour:
    """Another process on the GPU. It has no process id here: that names nothing outside its machine.

    Args:
        name: Name of its program; empty where it cannot be read (another user's, another container's).
        memory_bytes: What it holds of the GPU's memory; None where the driver does not say.
        utilisation: Share of the time in which it had kernels on the SMs, 0 to 1; None where the driver
            does not say.
    """

    name: str = ""
    memory_bytes: int | None = None
    utilisation: float | None = None


@dataclass(frozen=True)
class GpuConditions:
    """The GPU while a trial was timed; None for what NVML does not say here.

    Args:
        sm_clock_mhz: SM clock while kernels ran.
        sm_clock_max_mhz: The highest SM clock this GPU has.
        sm_clock_moved: By which share the median SM clock of the second half of the samples differs
            from that of the first; None with too few samples for halves.
        memory_clock_mhz: Memory clock.
        power_w: Draw, in watts.
        power_limit_w: The limit in force, in watts.
        temperature_c: Degrees Celsius.
        held: For every reason that held clocks down, the share of samples in which it did, 0 to 1.
        neighbours: Other processes on this GPU; None where they cannot be listed.
    """

    sm_clock_mhz: Spread | None = None
    sm_clock_max_mhz: int | None = None
    sm_clock_moved: float | None = None
    memory_clock_mhz: Spread | None = None
    power_w: Spread | None = None
    power_limit_w: float | None = None
    temperature_c: Spread | None = None
    held: dict[str, float] = field(default_factory=dict)
    neighbours: tuple[Neighbour, ...] | None = None


@dataclass(frozen=True)
class CpuConditions:
    """The CPU while a trial was timed; None for what the operating system does not say here.

    Args:
        others: Share of all cores' time that went to other processes and other virtual machines, 0 to 1.
        cores: Cores that share refers to.
        load: Load average of the last minute.
        clock_mhz: Clock of the cores, their mean at each sample.
        governor: Frequency governor of the first core; empty where there is none.
        throttled: Share of quota periods in which the control group was stopped, 0 to 1.
    """

    others: float | None = None
    cores: int = 0
    load: float | None = None
    clock_mhz: Spread | None = None
    governor: str = ""
    throttled: float | None = None


@dataclass(frozen=True)
class Conditions:
    """What the host saw while the child sampled times.

    Args:
        samples: How often it looked.
        seconds: For how long.
        gpu: The GPU; None for a trial on the CPU, or where NVML cannot be asked.
        cpu: The CPU; None where the system has no /proc.
        gaps: What could not be seen, and why.
    """

    samples: int
    seconds: float
    gpu: GpuConditions | None = None
    cpu: CpuConditions | None = None
    gaps: tuple[str, ...] = ()
