"""A GPU's clocks are held down: times vary and are no measure of the kernels."""

from __future__ import annotations

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment


def matches(environment: Environment, facts: tuple[BackendFact, ...]) -> str | None:
    """Names the reasons that NVML gives."""
    held = [gpu for gpu in environment.gpus if gpu.throttle]
    if not held:
        return None
    listed = "; ".join(f"GPU {gpu.index} {gpu.name}: {', '.join(gpu.throttle)}" for gpu in held)
    return (
        f"Clocks are held down ({listed}). Fix: look at cooling and the power limit (nvidia-smi -q -d "
        "PERFORMANCE,POWER), let it cool, and trust only comparisons that are interleaved."
    )
