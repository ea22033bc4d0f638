"""xFormers' kernels end below, or begin above, this GPU.

Its wheels dropped V100 and older in 0.0.31 (xformers CHANGELOG). In 0.0.33 to 0.0.35 the cutlass
operator is capped at compute capability 9.0 (xformers@0.0.35:xformers/ops/fmha/cutlass.py,
CUDA_MAXIMUM_COMPUTE_CAPABILITY): above it no float32 and no tensor bias (xformers#1356).
"""

from __future__ import annotations

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment
from attnprobe.remedies._look import package, release


def matches(environment: Environment, facts: tuple[BackendFact, ...]) -> str | None:
    """By compute capability and release."""
    xformers = package(environment, "xformers")
    if xformers is None:
        return None
    version, said = release(xformers.version), []
    for gpu in environment.gpus:
        if gpu.capability is None:
            continue
        if ends_above(version, gpu.capability):
            said.append(
                f"xformers {xformers.version} has no kernels for {gpu.name}. Fix: xformers==0.0.30 with "
                "the torch it names, or torch's memory-efficient SDPA."
            )
        if ends_below(version, gpu.capability):
            said.append(
                f"xformers {xformers.version}'s cutlass operator stops at compute capability 9.0; on "
                f"{gpu.name} it has no float32 and no tensor bias. Fix: use "
                "torch.nn.functional.scaled_dot_product_attention for those."
            )
    return " ".join(dict.fromkeys(said)) or None


def ends_above(version: tuple[int, ...], capability: tuple[int, int]) -> bool:
    """Whether this release has no kernels for so old a GPU."""
    return version >= (0, 0, 31) and capability < (7, 5)


def ends_below(version: tuple[int, ...], capability: tuple[int, int]) -> bool:
    """Whether this release's cutlass operator stops before so new a GPU."""
    return (0, 0, 33) <= version <= (0, 0, 35) and capability > (9, 0)
