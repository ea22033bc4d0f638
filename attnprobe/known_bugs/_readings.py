"""How an outcome is read: the few ways in which a bug can show."""

from __future__ import annotations

import re

from attnprobe.core.outcome import (
    Crashed,
    Measured,
    Outcome,
    OutOfMemory,
    Raised,
    Refused,
    TimedOut,
)
from attnprobe.core.parity import Failure, Parity
from attnprobe.known_bugs._bug import Answer, Reading


def wrong(*kinds: str) -> Reading:
    """The bug shows as a wrong result.

    Args:
        kinds: Failures that are it; a result that is wrong in another way alone is no answer. None
            is any.
    """

    def reading(outcome: Outcome) -> Answer:
        if not isinstance(outcome, Measured) or outcome.parity is None:
            return _unmeasured(outcome)
        parity = outcome.parity
        of_kind = [f for f in parity.failures if not kinds or f.kind in kinds]
        if of_kind:
            return Answer("yes", _first(of_kind))
        return _otherwise(parity)

    return reading


def breaks(pattern: str = "") -> Reading:
    """The bug shows as an exception or the death of the child; a wrong result is it too.

    Args:
        pattern: What the exception says; empty is anything.
    """

    def reading(outcome: Outcome) -> Answer:
        match outcome:
            case Raised(type=kind, message=message) if re.search(pattern, message):
                return Answer("yes", f"raises {kind}: {_line(message)}")
            case Crashed(signal=signal, exit_code=code):
                return Answer("yes", f"the process died ({signal or f'exit status {code}'})")
            case Refused(by="library", reasons=reasons) if pattern and any(
                re.search(pattern, reason) for reason in reasons
            ):
                return Answer("yes", f"refuses: {_line(reasons[0])}")
        return wrong()(outcome)

    return reading


def accepted(outcome: Outcome) -> Answer:
    """The bug is that a call which must be refused is answered."""
    match outcome:
        case Measured():
            return Answer("yes", "the call is answered, without an error")
        case Refused(by="library", reasons=reasons):
            return Answer("no", f"the library refuses: {_line(reasons[0])}")
    return _unmeasured(outcome)


def leaking(outcome: Outcome) -> Answer:
    """The bug is a wrong result where a refusal is right too."""
    match outcome:
        case Refused(by="library", reasons=reasons):
            return Answer("no", f"the library refuses: {_line(reasons[0])}")
    return wrong()(outcome)


def nan_without_keys(outcome: Outcome) -> Answer:
    """The bug is NaN in rows that may attend no key, which is a convention to some."""
    match outcome:
        case Measured(parity=Parity(empty_rows="nan")):
            return Answer("yes", "queries that may attend no key come back as NaN")
    return wrong("empty_rows", "nonfinite")(outcome)


def _otherwise(parity: Parity) -> Answer:
    match parity.verdict:
        case "fail":
            return Answer("cannot tell", f"wrong in another way: {_first(parity.failures)}")
        case "pass":
            return Answer("no", "the result is right")
    return Answer("cannot tell", parity.unsaid or "the comparison has no power here")


def _unmeasured(outcome: Outcome) -> Answer:
    """Why an outcome without a result is no answer."""
    match outcome:
        case Refused(by="absent", reasons=reasons):
            return Answer("no", f"not installed: {_line(reasons[0])}")
        case Refused(by=by, reasons=reasons):
            why = _line(reasons[0]) if reasons else "no reason given"
            who = "the library refuses" if by == "library" else f"not run ({by})"
            return Answer("cannot tell", f"{who}: {why}")
        case Raised(type=kind, message=message):
            return Answer("cannot tell", f"raised {kind}: {_line(message)}")
        case Crashed(phase=phase):
            return Answer("cannot tell", f"the process died in {phase}")
        case TimedOut(limit_s=limit):
            return Answer("cannot tell", f"no answer within {limit:g} s")
        case OutOfMemory(message=message):
            return Answer("cannot tell", f"out of memory: {_line(message)}")
    return Answer("cannot tell", "nothing was compared")


def _first(failures: tuple[Failure, ...] | list[Failure]) -> str:
    return _line(failures[0].message)


def _line(text: str) -> str:
    """The first line, not longer than a table cell can hold."""
    head = text.strip().partition("\n")[0]
    return head if len(head) <= 160 else f"{head[:157]}..."
