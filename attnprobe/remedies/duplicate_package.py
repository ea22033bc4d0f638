"""One distribution is on the path twice, in different versions: the first one is imported."""

from __future__ import annotations

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment


def matches(environment: Environment, facts: tuple[BackendFact, ...]) -> str | None:
    """Names each distribution that shadows another version of itself."""
    versions: dict[str, list[str]] = {}
    for package in environment.packages:
        versions.setdefault(package.name, []).append(package.version)
    doubled = {name: found for name, found in versions.items() if len(set(found)) > 1}
    if not doubled:
        return None
    listed = "; ".join(
        f"{name} {found[0]} hides {', '.join(found[1:])}" for name, found in doubled.items()
    )
    return (
        f"Installed more than once on this interpreter's path: {listed}. Fix: uninstall all but one, "
        "and look at PYTHONPATH and the user site (python -m site)."
    )
