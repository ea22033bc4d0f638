"""Asking the child, when any question may kill it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from attnprobe.core.backend_fact import Claim
from attnprobe.core.jsonio import decode
from attnprobe.core.outcome import OUTCOME_KINDS, Outcome, Raised, TimedOut
from attnprobe.errors import UnusableHost
from attnprobe.info.words import reasons

_FACTS_S = 120.0  # the first CUDA call of a machine with many GPUs takes tens of seconds
_CLAIM_S = 120.0  # importing flash-attn or xformers on a cold disk
_CLAIM_AGAIN_S = 15.0  # another backend of a package that has hung once


class Answered(Protocol):
    """What a child said, as JSON."""

    @property
    def data(self) -> Any:
        """The answer of worker/protocol.py."""


class Child(Protocol):
    """What is needed of a worker (worker/host.py)."""

    def ask(self, message: Mapping[str, Any], deadline_s: float) -> Answered | Outcome:
        """One question; the outcome that kept it from being answered, if any."""


def facts(child: Child) -> dict[str, Any] | Outcome:
    """The answer of `attnprobe.device.facts.facts`, or why there is none."""
    return _asked(child, {"do": "facts"}, _FACTS_S)


def claims(child: Child, names: Iterable[str]) -> dict[str, Claim]:
    """Asks one backend at a time, so that a death is charged to the package that caused it.

    Args:
        child: The worker.
        names: Backend names; those of one package share the part before the first `-`.
    """
    found: dict[str, Claim] = {}
    hung: set[str] = set()
    for name in names:
        family = name.partition("-")[0]
        limit_s = _CLAIM_AGAIN_S if family in hung else _CLAIM_S
        answer = _asked(child, {"do": "claims", "backends": [name]}, limit_s)
        if isinstance(answer, dict):
            found[name] = decode(Claim, answer[name], {})
            continue
        found[name] = Claim(available=None, error="; ".join(reasons(answer)))
        if isinstance(answer, TimedOut):
            hung.add(family)
    return found


def _asked(child: Child, message: Mapping[str, Any], deadline_s: float) -> dict[str, Any] | Outcome:
    try:
        answer = child.ask(message, deadline_s)
    except UnusableHost as error:
        return Raised(phase=message["do"], type="UnusableHost", message=str(error))
    if isinstance(answer, Outcome):
        return answer
    data: dict[str, Any] = answer.data
    if data.get("kind") in OUTCOME_KINDS:
        outcome: Outcome = decode(Outcome, data, {})  # type: ignore[arg-type]  # a union is a kind too
        return outcome
    return data
