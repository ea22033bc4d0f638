"""A trial that does nothing: what is left is attnprobe's own cost."""

from __future__ import annotations

from collections.abc import Callable

from attnprobe.core.outcome import Measured, Outcome
from attnprobe.core.trial import Trial


def answer(trial: Trial, announce: Callable[[str], None]) -> Outcome:
    announce("forward")
    return Measured("nothing")
