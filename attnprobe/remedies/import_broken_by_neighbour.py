"""xFormers cannot be imported because flash-attn-4 is installed without flash-attn 2.

flash-attn-4 (4.0.0b36) owns a package `flash_attn` that holds only `cute`. xformers@0.0.35:
xformers/ops/fmha/flash.py finds `flash_attn` and imports `flash_attn.flash_attn_interface`, which is
not there: `import xformers.ops` raises ModuleNotFoundError.
"""

from __future__ import annotations

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment
from attnprobe.remedies._look import package


def matches(environment: Environment, facts: tuple[BackendFact, ...]) -> str | None:
    """Recognised on disk, before anything is imported."""
    newer = package(environment, "flash-attn-4")
    xformers = package(environment, "xformers")
    if newer is None or xformers is None or package(environment, "flash-attn") is not None:
        return None
    return (
        f"flash-attn-4 {newer.version} installs `flash_attn` without flash_attn_interface, so "
        f"xformers {xformers.version} cannot be imported beside it. Fix: pip install flash-attn "
        "2.7.1 to 2.8.4 too, or keep the two in separate environments."
    )
