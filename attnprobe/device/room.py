"""Whether a case fits into the memory that is free now; a case that does not is not launched."""

from __future__ import annotations

from pathlib import Path

import torch

from attnprobe.core import cost, units
from attnprobe.core.case import Case

_MEMINFO = Path("/proc/meminfo")


def lacking(case: Case, materialises: bool) -> tuple[str, ...]:
    """Why the case does not fit, with the numbers; empty when it does, or when nobody can say.

    Args:
        case: The attention call.
        materialises: Whether the backend holds the scores in memory.
    """
    included = " (score matrices included)" if materialises else ""
    return missing(cost.estimate_bytes(case, materialises), case.device, included)


def missing(needed: int, device: str, included: str = "") -> tuple[str, ...]:
    """Why so many bytes cannot be had, with the numbers; empty when they can, or nobody can say.

    Args:
        needed: Bytes.
        device: Where.
        included: What is said of them.
    """
    free = free_bytes(device)
    if free is None or needed <= free:
        return ()
    return (f"needs about {units.size(needed)}{included}, free on {device} is {units.size(free)}",)


def free_bytes(device: str) -> int | None:
    """Bytes that can still be had on a device; None where the system does not tell.

    CUDA: what the driver calls free, and what torch's allocator holds and does not use
    (https://docs.pytorch.org/docs/stable/notes/cuda.html#memory-management). CPU: `MemAvailable`
    (https://docs.kernel.org/filesystems/proc.html#meminfo).
    """
    if device.startswith("cuda"):
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    if not _MEMINFO.is_file():
        return None
    for line in _MEMINFO.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return None
