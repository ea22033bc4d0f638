"""torch uses more threads than the process has cores: CPU kernels wait for each other."""

from __future__ import annotations

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment


def matches(environment: Environment, facts: tuple[BackendFact, ...]) -> str | None:
    """Containers limit the cores by a quota that OpenMP does not see."""
    threads = environment.torch.threads if environment.torch else 0
    if threads <= environment.cores:
        return None
    return (
        f"torch uses {threads} threads on {environment.cores} usable cores. Fix: set "
        f"OMP_NUM_THREADS={environment.cores}."
    )
