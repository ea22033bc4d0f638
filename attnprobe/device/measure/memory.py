"""Peak memory of one call over what was there before it. Never together with timing."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

import torch

from attnprobe.core import units


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
    found = _cuda(run, device) if device.type == "cuda" else _cpu(run)
    if found.bytes is not None and found.bytes < floor_bytes:
        return Peak(
            None,
            f"torch's allocator handed out {units.size(found.bytes)}, less than the outputs need "
            f"({units.size(floor_bytes)}): the call takes memory elsewhere",
        )
    return found


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


def _cpu(run: Callable[[], object]) -> Peak:
    """Every allocation and release as torch's profiler records them, added up in their order.

    Resident memory is no substitute: glibc keeps freed blocks below 32 MiB in its heap and does not
    always fit the next one in, so that the peak resident set of `softmax(QK^T)V` with gradients read
    twice what had been handed out at once (B1 H4 M1024 K64 in float32: 100 MiB for 50).
    """
    with torch.autograd.profiler.profile(profile_memory=True) as profiler:
        kept = run()
    del kept
    results = profiler.kineto_results
    if results is None:
        return Peak(None, "torch's profiler recorded nothing")
    memory = [event for event in results.events() if event.name() == "[memory]"]
    memory.sort(key=lambda event: event.start_ns())
    held = accumulate(event.nbytes() for event in memory)
    return Peak(max(held, default=0), "torch's CPU allocator: the most it had handed out at once")
