"""What a class of kernels may round."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Contract:
    """What a backend is allowed to round."""

    name: str


def names() -> tuple[str, ...]:
    """All contracts, tightest first."""
    return ("fp32-internal", "flex_eager", "fused", "fused_tc", "cpu_flash", "unfused", "tf32")


def get(name: str, dtype: str) -> Contract:
    """The contract for inputs of this dtype (`float32`, `float16`, `bfloat16`)."""
    return Contract(name)
