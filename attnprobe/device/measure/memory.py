"""Peak memory of one call over what was there before it. Never together with timing."""

from __future__ import annotations

import ctypes
import gc
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from attnprobe.core import units

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5), /proc/pid/clear_refs: "reset the peak resident set size"


@dataclass(frozen=True)
class Peak:
    """What a call needs at once.

    Args:
        bytes: Peak over the baseline, outputs and gradients included; None when it cannot be known.
        how: How it was taken, or why not.
    """

    bytes: int | None
    how: str


def peak(run: Callable[[], object], device: torch.device, floor_bytes: int) -> Peak:
    """Runs the call twice, warm and then watched.

    Args:
        run: The call; what it returns is kept alive until the peak has been read.
        device: Where it runs.
        floor_bytes: What it must at least allocate; a lower reading is not believed.
    """
    run()  # lazily made workspaces and compiled plans are not this call's
    return _cuda(run, device) if device.type == "cuda" else _cpu(run, floor_bytes)


def _cuda(run: Callable[[], object], device: torch.device) -> Peak:
    """The allocator's own peak: reserved memory and nvidia-smi count its cache too.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.cuda.max_memory_allocated.html
    """
    torch.cuda.synchronize(device)
    gc.collect()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    kept = run()
    torch.cuda.synchronize(device)
    bytes_ = torch.cuda.max_memory_allocated(device) - before
    del kept
    return Peak(bytes_, "torch's CUDA allocator: max_memory_allocated over the baseline")


def _cpu(run: Callable[[], object], floor_bytes: int) -> Peak:
    """The peak resident set, which Linux lets a process reset; freed heap is handed back first."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)  # else the call reuses pages that are resident already
        _CLEAR.write_text(_RESET_PEAK)
        before = _high_water_bytes()
    except (OSError, AttributeError, LookupError) as error:
        return Peak(None, f"this system does not let a process reset its peak memory ({error})")
    kept = run()
    grown = _high_water_bytes() - before
    del kept
    if grown < floor_bytes:
        return Peak(
            None,
            f"resident memory grew by {units.size(max(0, grown))}, less than the outputs need "
            f"({units.size(floor_bytes)}): the case is too small for pages to show it",
        )
    return Peak(grown, "peak resident set over the baseline, freed heap trimmed before")


def _high_water_bytes() -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())
    if found is None:
        raise LookupError("no VmHWM in /proc/self/status")
    return int(found[1]) * 1024
