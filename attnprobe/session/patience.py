"""A backend that hangs again and again is not waited for any longer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from attnprobe.core.outcome import Measured, Refused, TimedOut
from attnprobe.core.trial import Record, Trial

IN_A_ROW = 3
"""Trials without a result in between after which a hang is no accident: three deadlines are minutes."""


class Patience:
    """How often each backend has hung in this run.

    Args:
        deadline_s: Seconds that one trial may take.
    """

    def __init__(self, deadline_s: float) -> None:
        self.deadline_s = deadline_s
        self._hung: Counter[str] = Counter()

    def ask(self, trial: Trial, answer: Callable[[Trial, float], Record]) -> Record:
        """The answer, or the refusal to wait for one.

        Args:
            trial: What is asked.
            answer: Who is asked, `Worker.trial`.
        """
        if self._hung[trial.backend] >= IN_A_ROW:
            said = f"not run: {IN_A_ROW} of its trials took longer than {self.deadline_s:g} s each"
            return Record(trial, Refused("attnprobe", (said,)))
        record = answer(trial, self.deadline_s)
        if isinstance(record.outcome, TimedOut):
            self._hung[trial.backend] += 1
        elif isinstance(record.outcome, Measured):
            self._hung[trial.backend] = 0
        return record
