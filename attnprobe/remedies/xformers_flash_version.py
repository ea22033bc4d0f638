"""`import xformers.ops` raises because the installed flash-attn is outside the range it accepts.

xformers@0.0.35:xformers/ops/fmha/flash.py accepts 2.7.1 to 2.8.4, checked at import whenever a module
`flash_attn` can be found.
"""

from __future__ import annotations

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment
from attnprobe.remedies._look import package, release

_FIRST, _LAST = (2, 7, 1), (2, 8, 4)


def matches(environment: Environment, facts: tuple[BackendFact, ...]) -> str | None:
    """Applies to xformers 0.0.35; other releases name other ranges."""
    xformers, flash = package(environment, "xformers"), package(environment, "flash-attn")
    if xformers is None or flash is None or release(xformers.version) != (0, 0, 35):
        return None
    ignored = environment.variables.get("XFORMERS_IGNORE_FLASH_VERSION_CHECK") == "1"
    if ignored or _FIRST <= release(flash.version)[:3] <= _LAST:
        return None
    return (
        f"xformers {xformers.version} accepts flash-attn 2.7.1 to 2.8.4, and {flash.version} is "
        "installed: its import raises. Fix: install a version in that range, or set "
        "XFORMERS_IGNORE_FLASH_VERSION_CHECK=1 and run attnprobe check."
    )
