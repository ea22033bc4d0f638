"""An outcome as one of the facts of `BackendFact`, and in words."""

from __future__ import annotations

import re
from itertools import takewhile
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
from attnprobe.core.paths import public


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
    """The cause, the last thing it said, and the innermost frame of faulthandler's stack."""
    cause = crashed.signal or f"exit code {crashed.exit_code}"
    lines = [line.strip() for line in crashed.stderr_tail.splitlines() if line.strip()]
    said = list(takewhile(lambda line: not line.startswith("Fatal Python error"), lines))
    frames = (re.fullmatch(r'File "(.*)", (line \d+) in (.*)', line) for line in lines)
    inner = [f"in {f[3]}, {public(f[1])} {f[2]}" for f in frames if f]
    return " | ".join([f"{crashed.phase}: child died of {cause}", *said[-1:], *inner[:1]])
