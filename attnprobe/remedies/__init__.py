"""Mismatches between libraries, driver and hardware that are recognised, each with its fix.

One file per rule. A rule is `matches(environment, facts) -> str | None`: what is wrong here and what to
do, or None. Adding a rule is adding a file: nothing is registered anywhere. Rules see records only.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment
from attnprobe.remedies._phrases import fix_for

__all__ = ["fix_for", "rules", "warnings"]


def rules() -> tuple[str, ...]:
    """Names of all rules."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name[0] != "_"))


def warnings(environment: Environment, facts: Iterable[BackendFact] = ()) -> tuple[str, ...]:
    """What every rule says of this machine, in the order of the rules' names.

    Args:
        environment: The machine.
        facts: Claim beside fact; empty when nothing was launched.
    """
    facts = tuple(facts)
    said = (
        importlib.import_module(f"{__name__}.{rule}").matches(environment, facts)
        for rule in rules()
    )
    return tuple(text for text in said if text)
