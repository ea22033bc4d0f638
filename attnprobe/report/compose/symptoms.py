"""What is wrong with a trial in one phrase, so that trials that fail alike are told together."""

from __future__ import annotations

import re

from attnprobe.core.outcome import Measured
from attnprobe.core.parity import Failure
from attnprobe.core.trial import Record
from attnprobe.report import plain

_NO_EXPLANATION = "no hypothesis"
_COUNT = re.compile(r"^\d+ ")
_TIMES = re.compile(r" by [\d.e+]+ times what (\S+) allows.*", re.DOTALL)
_LENGTH = 110


def symptom(record: Record) -> str:
    """The explanation that fits its first failure, else the failure without its numbers."""
    outcome = record.outcome
    parity = outcome.parity if isinstance(outcome, Measured) else None
    if parity is None or not parity.failures:
        return "no reason was recorded"
    first = parity.failures[0]
    if first.hypothesis and not first.hypothesis.startswith(_NO_EXPLANATION):
        return plain.short(first.hypothesis, _LENGTH)
    return _without_numbers(first)


def _without_numbers(failure: Failure) -> str:
    match failure.kind:
        case "nonfinite":
            return "NaN or inf where numbers belong"
        case "empty_rows":
            return _COUNT.sub("", failure.message)
        case "accuracy":
            return _TIMES.sub(r" by more than \1 allows", failure.message)
        case kind:
            return plain.short(f"{kind}: {failure.message}", _LENGTH)
