"""The driver does not support the CUDA major version that torch was built for.

Within one major version a newer toolkit runs on an older driver; across majors it does not (CUDA
Compatibility guide, "Minor Version Compatibility").
"""

from __future__ import annotations

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment
from attnprobe.remedies._look import release


def matches(environment: Environment, facts: tuple[BackendFact, ...]) -> str | None:
    """Compares major versions only."""
    built = environment.torch.cuda if environment.torch else ""
    if not built or not environment.cuda_driver:
        return None
    if release(environment.cuda_driver)[:1] >= release(built)[:1]:
        return None
    return (
        f"torch was built for CUDA {built} and driver {environment.driver} supports CUDA "
        f"{environment.cuda_driver}. Fix: update the driver, or install a torch built for CUDA "
        f"{release(environment.cuda_driver)[0]}."
    )
