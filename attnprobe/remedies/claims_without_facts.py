"""A package calls its kernels available, and not one launch of them ran.

`xformers.info` prints "available" for every operator that is registered; nothing was launched for it
(xformers@0.0.35:xformers/info.py). Beside a torch it cannot work with, all of them refuse.
"""

from __future__ import annotations

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment


def matches(environment: Environment, facts: tuple[BackendFact, ...]) -> str | None:
    """Names the packages all of whose available backends failed to run, where there is a GPU."""
    if not any(gpu.multiprocessors for gpu in environment.gpus):
        return None
    said = []
    for package in dict.fromkeys(fact.package for fact in facts if fact.package != "torch"):
        claiming = [
            fact
            for fact in facts
            if fact.package == package
            and fact.claim.available
            and fact.fact not in ("absent", "not_run")
        ]
        if claiming and not any(f.fact in ("runs", "wrong") for f in claiming):
            first = claiming[0]
            names = ", ".join(f.name for f in claiming)
            why = first.reasons[0] if first.reasons else first.fact
            fix = first.fix or "use a backend that runs; each reason is listed with its backend"
            said.append(
                f"{package} calls {names} available, and no launch of them ran: {why}. Fix: {fix}."
            )
    return " ".join(said) or None
