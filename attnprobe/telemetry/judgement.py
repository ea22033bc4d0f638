"""Whether times taken under these conditions say something about the kernel, and what to note.

| seen | then | because |
| --- | --- | --- |
| another process ran kernels | withheld | the GPU took turns: the time is of both |
| thermal or hardware slowdown, power brake | withheld | the time is of the cooling or the supply |
| SM clock differs between the halves | withheld, but see below | it is a time at no one clock |
| another process holds memory, idle | noted | it may start at any moment |
| power cap, with the clock that it leaves | noted | full load reaches the limit of data-center cards |
| clocks set by hand, sync boost | noted | chosen by who runs the machine |
| CPU: others, quota, power-saving governor | noted | the rounds feel them: intervals widen |

A clock that moved is only noted where the memory sets the time, and where the power cap moved it: that
is how the card runs this very kernel, and rounds whose halves differ by 5% are withheld by the child
that took them.

What happens in less than a tenth of the time is not felt by a median: with a tenth of the rounds
slowed, it is the 56th percentile of the undisturbed ones instead of the 50th.
"""

from __future__ import annotations

from dataclasses import replace

from attnprobe.core import units
from attnprobe.core.conditions import Conditions, CpuConditions, GpuConditions, Neighbour
from attnprobe.core.timing import Timing, Versus

FELT = 0.10
MOVED = 0.05  # as for the times themselves (device/measure/sampling.py: DRIFT)

POWER_CAP = "software power cap"
SLOWED = frozenset(
    {
        "hardware slowdown",
        "software thermal slowdown",
        "hardware thermal slowdown",
        "hardware power brake",
    }
)
"""Reasons (probe/nvml.py: THROTTLE) that make a time a fact about cooling or power supply."""


def of_times(timing: Timing, seen: Conditions) -> Timing:
    """The timing with its conditions, withheld or noted."""
    found = replace(timing, conditions=seen)
    why = shared(seen) or slowed(seen) or (moved(seen) if _feels_clocks(timing) else "")
    if why:
        return found.without_times(why)
    return replace(found, notes=found.notes + notes(seen))


def of_ratios(versus: Versus, seen: Conditions) -> Versus:
    """The comparison with its conditions. Clocks that move meet both sides of a round alike."""
    found = replace(versus, conditions=seen)
    why = shared(seen) or slowed(seen)
    return found.without_ratios(why) if why else found


def shared(seen: Conditions) -> str:
    """Whose kernels ran beside ours, and how much; empty when nobody's did."""
    others = [n for n in _neighbours(seen) if (n.utilisation or 0.0) >= FELT]
    if not others:
        return ""
    return f"the GPU was shared with {'; '.join(map(_described, others))}"


def slowed(seen: Conditions) -> str:
    """What held the clocks down and is no property of the kernel; empty when nothing did."""
    held = seen.gpu.held if seen.gpu else {}
    found = {words: share for words, share in held.items() if words in SLOWED and share >= FELT}
    if not found or seen.gpu is None:
        return ""
    listed = ", ".join(f"{words} in {share:.0%} of the time" for words, share in found.items())
    return f"clocks were held down: {listed}{_heat(seen.gpu)}"


def moved(seen: Conditions) -> str:
    """That the SM clock did not stay, by itself; empty when it did, or the power cap moved it."""
    gpu = seen.gpu
    if gpu is None or gpu.held.get(POWER_CAP, 0.0) >= FELT:
        return ""
    return _movement(gpu)


def notes(seen: Conditions) -> tuple[str, ...]:
    """What a reader should know of conditions that withhold nothing."""
    found = []
    if seen.gpu:
        found += _of_gpu(seen.gpu)
    elif seen.cpu:
        found += _of_cpu(seen.cpu)
    return (*found, *(f"not seen: {gap}" for gap in seen.gaps))


def _feels_clocks(timing: Timing) -> bool:
    durations = (timing.fwd_s, timing.bwd_s, timing.fwd_bwd_s)
    return any(one is not None and one.bound != "memory" for one in durations)


def _neighbours(seen: Conditions) -> tuple[Neighbour, ...]:
    return (seen.gpu.neighbours or ()) if seen.gpu else ()


def _described(neighbour: Neighbour) -> str:
    """Name, share and memory: never a process id."""
    parts = []
    if neighbour.utilisation is not None:
        parts.append(f"{neighbour.utilisation:.0%} of the time")
    if neighbour.memory_bytes is not None:
        parts.append(units.size(neighbour.memory_bytes))
    named = neighbour.name or "a process of another container or user"
    return f"{named} ({', '.join(parts)})" if parts else named


def _heat(gpu: GpuConditions) -> str:
    temperature, power = gpu.temperature_c, gpu.power_w
    parts = []
    if temperature:
        parts.append(f"{temperature.high:.0f} degrees Celsius")
    if power and gpu.power_limit_w:
        parts.append(f"{power.high:.0f} of {gpu.power_limit_w:.0f} W")
    return f" ({', '.join(parts)})" if parts else ""


def _movement(gpu: GpuConditions) -> str:
    clock = gpu.sm_clock_mhz
    if clock is None or abs(gpu.sm_clock_moved or 0.0) <= MOVED:
        return ""
    return (
        f"the SM clock moved by {gpu.sm_clock_moved:+.0%} from one half of the run to the other "
        f"({clock.low:.0f} to {clock.high:.0f} MHz)"
    )


def _of_gpu(gpu: GpuConditions) -> list[str]:
    found = []
    clock = gpu.sm_clock_mhz
    felt = {words: share for words, share in gpu.held.items() if share >= FELT}
    if felt and clock:
        listed = ", ".join(f"{words} in {share:.0%} of the time" for words, share in felt.items())
        most = f" of {gpu.sm_clock_max_mhz}" if gpu.sm_clock_max_mhz else ""
        found.append(f"SM clock {clock.median:.0f}{most} MHz: {listed}")
    if movement := _movement(gpu):
        found.append(movement)
    if gpu.neighbours:
        listed = "; ".join(map(_described, gpu.neighbours))
        found.append(f"also on the GPU: {listed}")
    return found


def _of_cpu(cpu: CpuConditions) -> list[str]:
    found = []
    if (cpu.others or 0.0) >= FELT:
        found.append(f"other processes took {cpu.others:.0%} of {cpu.cores} cores")
    if cpu.throttled:
        found.append(f"the CPU quota was used up in {cpu.throttled:.0%} of its periods")
    if cpu.governor and cpu.governor != "performance":
        found.append(f"frequency governor: {cpu.governor}")
    return found
