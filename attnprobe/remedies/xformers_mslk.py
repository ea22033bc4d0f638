"""xFormers' attention has moved to MSLK, which is not there.

After 0.0.35, `xformers.ops` re-exports attention from `mslk` inside `except ModuleNotFoundError`, so
that without it the import succeeds and `memory_efficient_attention` does not exist (xformers commit
ca6d2aa). The distribution `mslk` 0.0.0 is an empty placeholder; the kernels are in `mslk-cuda`.
"""

from __future__ import annotations

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment
from attnprobe.remedies._look import package, release


def matches(environment: Environment, facts: tuple[BackendFact, ...]) -> str | None:
    """By versions on disk."""
    xformers, placeholder = package(environment, "xformers"), package(environment, "mslk")
    if xformers is None or release(xformers.version) <= (0, 0, 35):
        return None
    if package(environment, "mslk-cuda") is not None:
        return None
    if placeholder is not None and release(placeholder.version) > (0, 0, 0):
        return None
    what = (
        "only the empty placeholder mslk 0.0.0 is installed"
        if placeholder
        else "it is not installed"
    )
    return (
        f"xformers {xformers.version} takes its attention from MSLK, and {what}. Fix: pip install "
        "mslk-cuda in the release for this torch, or xformers==0.0.35."
    )
