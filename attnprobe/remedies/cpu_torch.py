"""A machine with an NVIDIA GPU runs a CPU-only torch."""

from __future__ import annotations

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment


def matches(environment: Environment, facts: tuple[BackendFact, ...]) -> str | None:
    """By `torch.version.cuda` beside NVML."""
    torch = environment.torch
    if torch is None or torch.cuda or torch.hip or not environment.gpus:
        return None
    return (
        f"torch {torch.version} is a CPU build, and this machine has {environment.gpus[0].name}. Fix: "
        f"install a CUDA build of torch (driver {environment.driver} supports CUDA "
        f"{environment.cuda_driver or 'of an unknown version'})."
    )
