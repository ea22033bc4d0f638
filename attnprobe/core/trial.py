"""A question put to one backend about one case, and the record of the answer."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from attnprobe.core.case import Case
from attnprobe.core.outcome import Outcome
from attnprobe.core.sampling import DEFAULT, Sampling

ONE_CALL = ("check", "time", "compare", "known-bug", "verdict")
"""Questions that are about one call and its numbers."""


@dataclass(frozen=True)
class Trial:
    """case x backend x question.

    Args:
        case: The attention call.
        backend: A backend's name, or `FILE.py:FUNC` / `package.module:FUNC`.
        question: check: is it right; time: what does it cost (parity of that very case included);
            compare: how much longer does it take than `rival`; fits: does it run at all, and with how
            much memory, right or wrong; known-bug: as check, for a published bug; verdict: as check,
            but nobody looks for an explanation; turn: a short `time` without a verdict, one of many
            that two interpreters take; training: does a model learn with it; demonstrate: what does one
            side of a habit show; else an experiment of `device/laboratory`.
        sampling: How time is taken, where the question wants it.
        rival: The backend that `compare` times in the same rounds.
    """

    case: Case
    backend: str
    question: str = "check"
    sampling: Sampling = DEFAULT
    rival: str = ""

    @property
    def id(self) -> str:
        """Twelve hex digits that do not depend on the machine."""
        text = f"{self.case.id}/{self.backend}/{self.question}"
        if self.rival:
            text += f"/{self.rival}"
        if self.sampling != DEFAULT:
            text += f"/{self.sampling}"
        return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:12]


@dataclass(frozen=True)
class Record:
    """A trial, its outcome and what it took.

    Args:
        trial: What was asked.
        outcome: What became of it.
        phases: Seconds per phase (reference, prepare, forward, ...), attnprobe's own share included.
        trials_before: How many trials the child had served before this one (0 is a fresh child).
        first_outcome: Outcome of the first attempt, when a crash in a used child was retried.
    """

    trial: Trial
    outcome: Outcome
    phases: dict[str, float] = field(default_factory=dict)
    trials_before: int = 0
    first_outcome: Outcome | None = None
