"""Other work runs on a GPU: times vary and memory may run out."""

from __future__ import annotations

from attnprobe.core import units
from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment, Gpu

_BUSY_SHARE = 0.05  # an idle driver holds well under this share of any GPU that torch supports


def matches(environment: Environment, facts: tuple[BackendFact, ...]) -> str | None:
    """By NVML's processes, and by memory in use where a container hides them."""
    shared = [gpu for gpu in environment.gpus if gpu.processes or _is_filled(gpu)]
    if not shared:
        return None
    listed = "; ".join(_described(gpu) for gpu in shared)
    return (
        f"Other work is on the GPU ({listed}). Fix: stop it, or choose another GPU with "
        "CUDA_VISIBLE_DEVICES; until then times are upper bounds."
    )


def _is_filled(gpu: Gpu) -> bool:
    used, total = gpu.memory_used_bytes, gpu.memory_bytes
    return bool(used and total and used > _BUSY_SHARE * total)


def _described(gpu: Gpu) -> str:
    held = f", {units.size(gpu.memory_used_bytes)} in use" if gpu.memory_used_bytes else ""
    processes = f"{gpu.processes} processes" if gpu.processes else "processes not visible"
    return f"GPU {gpu.index} {gpu.name}: {processes}{held}"
