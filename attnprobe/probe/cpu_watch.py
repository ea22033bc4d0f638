"""The CPU while something is timed: what others took of it, its clock, its quota (Linux)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

from attnprobe.core.conditions import CpuConditions, Spread
from attnprobe.probe import processes

_EVERY_S = 0.1  # reading a core's clock interrupts it on some kernels (arch_freq_get_on_cpu)


@dataclass(frozen=True)
class _Counters:
    """What only grows: ticks of all cores, busy ones of them, our own; periods of the quota."""

    total: int
    busy: int
    own: int
    periods: int
    stopped: int


@dataclass
class CpuWatch:
    """Looks at the CPU from `begin` to `seen`.

    Args:
        root: Root of the file system.
        pid: The process whose descendants are ours.
        now: Monotonic seconds.
    """

    root: Path = Path("/")
    pid: int = field(default_factory=os.getpid)
    now: Callable[[], float] = time.monotonic
    _before: _Counters | None = None
    _looked: float = float("-inf")
    _clocks: list[float] = field(default_factory=list)

    def begin(self) -> None:
        """Forgets what was seen and starts anew."""
        self._before, self._clocks, self._looked = self._count(), [], float("-inf")

    def look(self) -> None:
        """One sample of the clock, unless the last one is fresh."""
        if self.now() - self._looked < _EVERY_S:
            return
        self._looked = self.now()
        folder = self.root / "sys/devices/system/cpu"
        read = [_read(file) for file in folder.glob("cpu[0-9]*/cpufreq/scaling_cur_freq")]
        kilohertz = [int(text) for text in read if text.isdigit()]
        if kilohertz:
            self._clocks.append(mean(kilohertz) / 1e3)

    def seen(self) -> CpuConditions | None:
        """Since `begin`; None where the system has no /proc/stat."""
        before, after = self._before, self._count()
        if before is None or after is None:
            return None
        total, periods = after.total - before.total, after.periods - before.periods
        others = after.busy - before.busy - (after.own - before.own)
        load = _read(self.root / "proc/loadavg").split()
        return CpuConditions(
            others=min(1.0, max(0, others) / total) if total > 0 else None,
            cores=_lines(self.root / "proc/stat", "cpu") - 1,
            load=float(load[0]) if load else None,
            clock_mhz=Spread.of(self._clocks),
            governor=_read(self.root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            throttled=(after.stopped - before.stopped) / periods if periods > 0 else None,
        )

    def _count(self) -> _Counters | None:
        """The counters now (proc_stat(5): user nice system idle iowait irq softirq steal).

        Time stolen by the hypervisor was another machine's, so it counts as busy.
        """
        first = _read(self.root / "proc/stat").partition("\n")[0].split()[1:9]
        ticks = [int(text) for text in first if text.isdigit()]
        if len(ticks) < 4:
            return None
        idle = sum(ticks[3:5])
        quota = dict(
            pair
            for line in _read(self.root / "sys/fs/cgroup/cpu.stat").splitlines()
            if len(pair := line.split()) == 2
        )
        proc = self.root / "proc"
        return _Counters(
            total=sum(ticks),
            busy=sum(ticks) - idle,
            own=processes.cpu_ticks(processes.ours(self.pid, proc), proc),
            periods=int(quota.get("nr_periods", 0)),
            stopped=int(quota.get("nr_throttled", 0)),
        )


def _lines(path: Path, prefix: str) -> int:
    return sum(line.startswith(prefix) for line in _read(path).splitlines())


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
