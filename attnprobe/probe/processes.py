"""Which processes are ours, what they are called, and what CPU time they took, from Linux' /proc."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")


def ours(ancestor: int, proc: Path = PROC) -> frozenset[int]:
    """The process and all its descendants.

    From the lists of children where the kernel keeps them (proc_tid_children(5), CONFIG_PROC_CHILDREN),
    as a large server runs thousands of processes; else from everybody's parent.
    """
    listed = any(proc.glob(f"{ancestor}/task/*/children"))
    parents = {} if listed else _parents(proc)
    found: set[int] = set()
    left = [ancestor]
    while left:
        pid = left.pop()
        found.add(pid)
        children = _children(pid, proc) if listed else [p for p in parents if parents[p] == pid]
        left += [child for child in children if child not in found]
    return frozenset(found)


def cpu_ticks(pids: Iterable[int], proc: Path = PROC) -> int:
    """Clock ticks of CPU time, user and system, that these processes have taken so far."""
    fields = (_fields(proc / str(pid)) for pid in pids)
    return sum(int(each[11]) + int(each[12]) for each in fields if each)


def name(pid: int, proc: Path = PROC) -> str:
    """What its program is called; empty where it cannot be read, in another container for one."""
    return _read(proc / str(pid) / "comm").strip()


def _children(pid: int, proc: Path) -> list[int]:
    """Each thread has a list of the children that it made."""
    files = proc.glob(f"{pid}/task/*/children")
    return [int(child) for file in files for child in _read(file).split()]


def _parents(proc: Path) -> dict[int, int]:
    fields = {int(folder.name): _fields(folder) for folder in proc.glob("[0-9]*")}
    return {pid: int(found[1]) for pid, found in fields.items() if found}


def _fields(folder: Path) -> list[str]:
    """The fields of proc_pid_stat(5) from the state on; empty for a process that has ended.

    The name before them stands in parentheses and may hold anything, so they are taken from its end.
    """
    return _read(folder / "stat").rpartition(")")[2].split()


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
