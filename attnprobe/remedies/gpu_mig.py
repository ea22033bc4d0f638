"""A GPU is partitioned (MIG): a slice has fewer SMs and less bandwidth than the product's data sheet."""

from __future__ import annotations

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment


def matches(environment: Environment, facts: tuple[BackendFact, ...]) -> str | None:
    """Says so wherever MIG is on."""
    sliced = [f"GPU {gpu.index} {gpu.name}" for gpu in environment.gpus if gpu.mig]
    if not sliced:
        return None
    return (
        f"MIG is on ({', '.join(sliced)}): times and memory are those of a slice. Fix: compare only "
        "with runs on the same slice, or turn MIG off where that is yours to decide."
    )
