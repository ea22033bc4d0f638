"""What a pitfall's file states."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from attnprobe.core.diagnosis import Experiment, Prediction, Severity
from attnprobe.diagnosis.situation import Situation

CODE = re.compile(r"AP\d{3}")


@dataclass(frozen=True)
class Untestable:
    """Why an experiment cannot be made here, and what would test the suspicion.

    Args:
        why: In a sentence.
    """

    why: str


@dataclass(frozen=True)
class Pitfall:
    """One pitfall. Its file's docstring is its page: what happens, why, experiment, remedy, versions.

    Args:
        code: AP and three digits; never changed, never used again.
        severity: How bad it is when it is there.
        suspect: Why the call may be in it, in a clause; None when it is not. Static and free.
        predict: What the experiment should show. Called only of what is suspected.
        experiment: Treatment, control and remedy; or why there is none here.
        fix: Code for the API that the user calls, or what makes it of the situation.
        references: Public threads and sources: `xformers#700`, `torch@2.13.0:torch/nn/functional.py`.
        once: True for what concerns the machine or the workload as a whole: asked of its first call
            that raises the suspicion, and of no other.
    """

    code: str
    severity: Severity
    suspect: Callable[[Situation], str | None]
    predict: Callable[[Situation], Prediction]
    experiment: Callable[[Situation], Experiment | Untestable]
    fix: str | Callable[[Situation], str]
    references: tuple[str, ...]
    once: bool = False

    def __post_init__(self) -> None:
        if not CODE.fullmatch(self.code):
            raise ValueError(f"{self.code!r} is no code: AP and three digits")
