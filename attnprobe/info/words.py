"""An outcome as one of the facts of `BackendFact`, and in words."""

from __future__ import annotations

from typing import get_args

from attnprobe.core.backend_fact import Fact
from attnprobe.core.outcome import (
    Crashed,
    Measured,
    Outcome,
    OutOfMemory,
    Raised,
    Refused,
    TimedOut,
)


def fact(outcome: Outcome) -> Fact:
    """Measured without a failed comparison is `runs`; everything else is its own word."""
    match outcome:
        case Measured(parity=parity):
            return "wrong" if parity is not None and parity.verdict == "fail" else "runs"
        case Refused(by="absent"):
            return "absent"
        case Refused(by="broken"):
            return "broken"
        case _:
            return next(kind for kind in get_args(Fact) if kind == outcome.kind)


def reasons(outcome: Outcome) -> tuple[str, ...]:
    """Why it did not simply run; empty when it did."""
    match outcome:
        case Measured(parity=parity, unexpected_kernel=unexpected):
            failed = parity.failures if parity is not None and parity.verdict == "fail" else ()
            found = tuple(f"{f.kind}: {f.message}" for f in failed)
            return (*found, unexpected) if unexpected else found
        case Refused(reasons=found):
            return found
        case Raised(phase=phase, type=kind, message=message):
            return (f"{phase}: {kind}: {message}",)
        case Crashed():
            return (_death(outcome),)
        case TimedOut(phase=phase, limit_s=limit):
            return (f"{phase}: no answer within {limit:g} s, child killed",)
        case OutOfMemory(phase=phase, message=message):
            return (f"{phase}: {message}",)


def _death(crashed: Crashed) -> str:
    cause = crashed.signal or f"exit code {crashed.exit_code}"
    last = crashed.stderr_tail.strip().splitlines()[-1:]
    return " | ".join([f"{crashed.phase}: child died of {cause}", *last])
