"""Two distributions install the same import package: the later one overwrites files of the earlier.

flash-attn and flash-attn-4 both own `flash_attn`; mslk (an empty placeholder) and mslk-cuda both own
`mslk`. Uninstalling either leaves the other incomplete.
"""

from __future__ import annotations

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment


def matches(environment: Environment, facts: tuple[BackendFact, ...]) -> str | None:
    """Names each import package with more than one owner."""
    owners: dict[str, set[str]] = {}
    for package in environment.packages:
        for name in package.provides:
            owners.setdefault(name, set()).add(package.name)
    shared = {name: sorted(found) for name, found in owners.items() if len(found) > 1}
    if not shared:
        return None
    listed = "; ".join(f"{' and '.join(found)} both install `{n}`" for n, found in shared.items())
    return (
        f"{listed}: whichever was installed last owns the files they share. Fix: keep one of them, or "
        "reinstall the one you need last and do not uninstall the other."
    )
