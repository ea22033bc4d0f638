"""Which processes are ours, what they are called, and what CPU time they took, from Linux' /proc."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

PROC = Path("/proc")


def ours(ancestor: int, proc: Path = PROC) -> frozenset[int]:
    """The process and all its descendants."""
    parents = {pid: parent for pid, parent, _ in _all(proc)}
    found = {ancestor}
    for pid in parents:
        line = [pid]
        while line[-1] in parents and line[-1] not in found:
            line.append(parents[line[-1]])
        if line[-1] in found:
            found |= set(line)
    return frozenset(found)


def cpu_ticks(pids: Iterable[int], proc: Path = PROC) -> int:
    """Clock ticks of CPU time, user and system, that these processes have taken so far."""
    wanted = set(pids)
    return sum(ticks for pid, _, ticks in _all(proc) if pid in wanted)


def name(pid: int, proc: Path = PROC) -> str:
    """What its program is called; empty where it cannot be read, in another container for one."""
    try:
        return (proc / str(pid) / "comm").read_text(errors="replace").strip()
    except OSError:
        return ""


def _all(proc: Path) -> Iterator[tuple[int, int, int]]:
    """Process id, parent's id and CPU ticks of every process that can be seen (proc_pid_stat(5))."""
    for folder in proc.glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text(errors="replace")
            # the name in parentheses may hold anything, so fields are counted from its end
            fields = stat.rpartition(")")[2].split()
            yield int(folder.name), int(fields[1]), int(fields[11]) + int(fields[12])
        except (OSError, ValueError, IndexError):
            continue  # it ended while it was read
