"""A GPU has counted uncorrected memory errors: its results cannot be trusted."""

from __future__ import annotations

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment


def matches(environment: Environment, facts: tuple[BackendFact, ...]) -> str | None:
    """By the volatile counter, which starts at the driver's load."""
    hit = [gpu for gpu in environment.gpus if gpu.ecc_errors]
    if not hit:
        return None
    listed = ", ".join(f"GPU {gpu.index} {gpu.name}: {gpu.ecc_errors}" for gpu in hit)
    return (
        f"Uncorrected ECC errors since the driver was loaded ({listed}). Fix: take this GPU out of use; "
        "a wrong result here may be the hardware's."
    )
