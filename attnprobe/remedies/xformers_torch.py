"""xFormers' library was built for another torch.

Since 0.0.34 it uses torch's stable ABI: a build for 2.10 runs on any later torch. Before, each build
fits one torch release only (xformers releases v0.0.34 and v0.0.33.post2).
"""

from __future__ import annotations

import re

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment
from attnprobe.remedies._look import package, release, torch_version

_STABLE_ABI = (0, 0, 34)


def matches(environment: Environment, facts: tuple[BackendFact, ...]) -> str | None:
    """Compares `cpp_lib.json` of the wheel with the torch that is here."""
    xformers, here = package(environment, "xformers"), torch_version(environment)
    built = re.search(r"built for torch (\S+)", xformers.build) if xformers else None
    if xformers is None or built is None or not here:
        return None
    wants, has = release(built[1])[:2], release(here)[:2]
    stable = release(xformers.version) >= _STABLE_ABI
    if has >= wants if stable else has == wants:
        return None
    return (
        f"xformers {xformers.version} was built for torch {built[1]}, and torch {here} is installed. "
        f"Fix: install the xformers for torch {here}, or {'a newer' if stable else 'that'} torch."
    )
