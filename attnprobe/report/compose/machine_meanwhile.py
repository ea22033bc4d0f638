"""What the machine did while times were sampled, all trials together, in one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attnprobe.core.conditions import Conditions, CpuConditions, GpuConditions, Spread


def meanwhile(seen: Iterable[Conditions]) -> str:
    """Medians of each trial's samples, as ranges over the trials; empty where nothing was seen."""
    found = list(seen)
    gpus = [each.gpu for each in found if each.gpu]
    cpus = [each.cpu for each in found if each.cpu]
    return ", ".join(filter(None, _gpu(gpus) if gpus else _cpu(cpus)))


def _gpu(gpus: Sequence[GpuConditions]) -> list[str]:
    most = max(gpu.sm_clock_max_mhz or 0 for gpu in gpus)
    limit = max(gpu.power_limit_w or 0 for gpu in gpus)
    of_most, of_limit = (f" of {end:.0f}" if end else "" for end in (most, limit))
    return [
        _range((gpu.sm_clock_mhz for gpu in gpus), f"SM clock {{}}{of_most} MHz"),
        _range((gpu.memory_clock_mhz for gpu in gpus), "memory clock {} MHz"),
        _range((gpu.power_w for gpu in gpus), f"{{}}{of_limit} W"),
        _range((gpu.temperature_c for gpu in gpus), "{} degrees Celsius"),
        _neighbourhood(gpus),
    ]


def _neighbourhood(gpus: Sequence[GpuConditions]) -> str:
    """What was found in all trials; neighbours are in the remarks of theirs."""
    if any(gpu.neighbours is None for gpu in gpus):
        return "other processes on the GPU cannot be listed"
    return "" if any(gpu.neighbours for gpu in gpus) else "no other process on the GPU"


def _cpu(cpus: Sequence[CpuConditions]) -> list[str]:
    taken = [100 * cpu.others for cpu in cpus if cpu.others is not None]
    governors = dict.fromkeys(cpu.governor for cpu in cpus if cpu.governor)
    return [
        f"other processes took {_span(taken)}% of {cpus[0].cores} cores" if taken else "",
        _range((cpu.clock_mhz for cpu in cpus), "clock {} MHz"),
        f"governor {', '.join(governors)}" if governors else "",
    ]


def _range(spreads: Iterable[Spread | None], words: str) -> str:
    medians = [spread.median for spread in spreads if spread]
    return words.format(_span(medians)) if medians else ""


def _span(values: Sequence[float]) -> str:
    low, high = f"{min(values):.0f}", f"{max(values):.0f}"
    return low if low == high else f"{low} to {high}"
