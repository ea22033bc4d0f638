"""Stand-ins that let host code be tested without a child process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attnprobe.core.outcome import Outcome
from attnprobe.core.trial import Record, Trial
from attnprobe.worker.host import Answer
from attnprobe.worker.interpreter import Interpreter

PYTHON = Interpreter("/usr/bin/python3", "3.12.0", "2.13.0")


class FakeWorker:
    """A `Worker` whose child is a function.

    Args:
        function: What every trial ends in.
        answers: What `ask` gives, by the request's `do`: an Outcome as it is, anything else as data.
        interpreter: The diagnosed interpreter.
    """

    def __init__(
        self,
        function: Callable[[Trial], Outcome],
        answers: Mapping[str, Any] | None = None,
        interpreter: Interpreter = PYTHON,
    ) -> None:
        self._function, self._answers, self.interpreter = function, answers or {}, interpreter
        self.asked: list[Trial] = []

    def require_torch(self) -> None:
        """Says nothing: there is no torch to miss."""

    def trial(self, trial: Trial, deadline_s: float) -> Record:
        """The function's outcome as a record."""
        self.asked.append(trial)
        return Record(trial, self._function(trial), {"forward": 0.0}, len(self.asked) - 1)

    def ask(self, message: Mapping[str, Any], deadline_s: float) -> Answer | Outcome:
        """The canned answer."""
        answer = self._answers[message["do"]]
        return answer if isinstance(answer, Outcome) else Answer(answer)

    def abandon(self) -> None:
        """There is no child to kill."""

    def leave(self) -> None:
        """There is no child to end."""

    def retire(self) -> None:
        """There is no child to end."""

    def close(self) -> None:
        """There is nothing to end."""
