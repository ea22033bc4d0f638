"""The host's end: puts questions to a child and gets an answer or an outcome, whatever it does."""

from __future__ import annotations

import copy
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal

from attnprobe.core.outcome import Crashed, Outcome, OutOfMemory, TimedOut
from attnprobe.core.trial import Record, Trial
from attnprobe.errors import UnusableHost
from attnprobe.worker.certificate import certify, kernel_kills
from attnprobe.worker.interpreter import Interpreter, environment, find, soon
from attnprobe.worker.process import Gone, Late, Process
from attnprobe.worker.protocol import read_outcome, trial_request
from attnprobe.worker.starters import Launch, Source

ENTRY = "attnprobe.device.answer:answer"

_LAST_WORDS_S = 1.0  # from a closed pipe to the exit status; no core is written, so it is short


@dataclass(frozen=True)
class Answer:
    """What a child answered.

    Args:
        data: The `answer` of worker/protocol.py, as JSON.
        trials_before: Requests that the child had served before.
        seconds: From the request to the answer, on the host's clock.
    """

    data: Any
    trials_before: int = 0
    seconds: float = 0.0


class Worker:
    """One child at a time in the diagnosed interpreter, replaced when it dies.

    Nothing is started before the first question. Use it from one thread, and close it: it is a
    context manager.

    Attributes:
        listener: Called with every phase that the child begins, while the question is open.

    Args:
        python: Interpreter to diagnose; None is the one that runs attnprobe. Nothing is installed there.
        variables: Environment variables on top of the caller's (CUDA_VISIBLE_DEVICES, ...).
        start: fork: from a server that has imported torch; spawn: a process of its own for every
            child; auto: fork on Linux.
        memory_limit_bytes: Address space that a child may take beyond what it starts with, so that
            an exhausting trial ends as `OutOfMemory`. Meant for CPU trials: CUDA reserves far more
            address space than it uses.
        start_deadline_s: How long starting the interpreter and importing torch may take, in seconds;
            never part of a trial's deadline.
        entry: The function `(trial, announce) -> Outcome` that the child calls.
    """

    def __init__(
        self,
        python: str | None = None,
        variables: Mapping[str, str] | None = None,
        *,
        start: Literal["auto", "fork", "spawn"] = "auto",
        memory_limit_bytes: int | None = None,
        start_deadline_s: float = 300.0,
        entry: str = ENTRY,
    ) -> None:
        self._fork = start == "fork" or (start == "auto" and sys.platform == "linux")
        self._launch = Launch(
            find(python),
            environment(variables or {}),
            entry,
            memory_limit_bytes,
            start_deadline_s,
        )
        self._source = Source(self._launch, self._fork)
        self._shares = self._alone = False
        self._threads: int | None = None
        self._child: Process | None = None
        self.listener: Callable[[str], None] = _unheard

    def beside(self, threads: int | None = None) -> Worker:
        """A worker with a child of its own from the same server; close it before this one.

        Args:
            threads: The child's share of the cores; None is this worker's.
        """
        other = copy.copy(self)
        other._shares, other._child = True, None
        other._threads = threads or self._threads
        return other

    @property
    def interpreter(self) -> Interpreter:
        """What the diagnosed interpreter is; starts it.

        Raises:
            UsageError: It is no Python, or too old.
            UnusableHost: It did not start in time, or this system has no POSIX processes.
        """
        self._check_posix()
        return self._source.get().interpreter

    def require_torch(self) -> None:
        """Makes sure that trials can run at all.

        Raises:
            UnusableHost: torch cannot be imported there.
        """
        found = self.interpreter
        if found.torch_error:
            raise UnusableHost(
                f"torch cannot be imported by {found.executable} (Python {found.python})",
                why=found.torch_error,
                fix="install torch there, or choose another interpreter with --python",
            )

    def ask(self, message: Mapping[str, Any], deadline_s: float) -> Answer | Outcome:
        """One question; a crash or exhaustion of a used child is retried once in a fresh one.

        Args:
            message: A request of worker/protocol.py.
            deadline_s: Seconds until the child is killed; starting it does not count.

        Raises:
            UsageError: The interpreter is no Python, or too old.
            UnusableHost: It did not start in time.
        """
        return self._ask(message, deadline_s)[0]

    def trial(self, trial: Trial, deadline_s: float) -> Record:
        """One trial and what became of it; never an exception for anything that the child does.

        What asks for resident memory gets a child of its own, which has nothing to reuse.
        """
        if trial.question == "fits" and trial.case.device == "cpu" and not self._alone:
            with self.beside() as fresh:
                fresh._alone = True
                return fresh.trial(trial, deadline_s)
        answer, attempt, first = self._ask(trial_request(trial), deadline_s)
        if not isinstance(answer, Answer):
            return Record(trial, answer, attempt.phases, attempt.trials_before, first)
        outcome, phases = read_outcome(answer.data)
        phases["overhead"] = max(0.0, answer.seconds - sum(phases.values()))
        return Record(trial, outcome, phases, answer.trials_before, first)

    def retire(self) -> None:
        """Ends the present child; the next question goes to a fresh one."""
        if self._child is not None:
            child, self._child = self._child, None
            child.end(0)

    def leave(self) -> None:
        """To be called at the end of a thread that asked: ends a child that would die with it.

        A spawned child is a child of the thread that made it (PR_SET_PDEATHSIG); a forked one is the
        server's, and lives on.
        """
        if self._source.binds_to_thread:
            self.retire()

    def abandon(self) -> None:
        """Kills the present child; whoever waits for its answer hears of its death. From any thread."""
        child = self._child
        if child is not None:
            child.kill()

    def close(self) -> None:
        """Ends everything that was started."""
        self.retire()
        if not self._shares:
            self._source.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(
        self, message: Mapping[str, Any], deadline_s: float
    ) -> tuple[Answer | Outcome, _Attempt, Outcome | None]:
        attempt = _Attempt()
        answer = self._attempt(message, deadline_s, attempt)
        lost = _lost(answer)
        if lost is None or attempt.trials_before == 0:
            return answer, attempt, None
        second = _Attempt()  # the culprit may be memory that an earlier trial corrupted or kept
        return self._attempt(message, deadline_s, second), second, lost

    def _attempt(
        self, message: Mapping[str, Any], deadline_s: float, attempt: _Attempt
    ) -> Answer | Outcome:
        kills = kernel_kills()
        try:
            child = self._ready(attempt)
            attempt.trials_before = child.served
            child.log.forget()
            until = soon(deadline_s)
            attempt.enter("start")
            child.tell(message)
            while "answer" not in (heard := child.hear(until)):
                attempt.enter(heard["phase"])
                self.listener(heard["phase"])
        except Gone:
            return self._bury(attempt, kills)
        except Late:
            return self._put_down(attempt, deadline_s)
        except BaseException:  # interrupted: the child is in the middle of something
            self.retire()
            raise
        child.served += 1
        if heard.get("retire"):
            self.retire()
        return Answer(heard["answer"], attempt.trials_before, attempt.stop())

    def _ready(self, attempt: _Attempt) -> Process:
        """The present child, or a fresh one that has said it is ready."""
        if self._child is None:
            attempt.enter("import")
            self._check_posix()
            self._child = self._source.child(self._threads)
            self._child.hear(soon(self._launch.start_deadline_s))
        return self._child

    def _bury(self, attempt: _Attempt, kills: int) -> Outcome:
        """The outcome of a child that ended by itself."""
        attempt.stop()
        if self._child is None:
            return Crashed(attempt.phase, stderr_tail="no process could be started")
        child, self._child = self._child, None
        if child.outlives(_LAST_WORDS_S):
            child.end(0)
            what = "it broke its connection to attnprobe and went on; it was killed"
            return Crashed(attempt.phase, stderr_tail=f"{what}\n{child.log.text}")
        code = child.end(_LAST_WORDS_S)
        return certify(attempt.phase, code, child.log.text, kills)

    def _put_down(self, attempt: _Attempt, deadline_s: float) -> Outcome:
        """The outcome of a child that had to be killed."""
        attempt.stop()
        assert self._child is not None
        child, self._child = self._child, None
        stack = child.stack()
        child.end(0)
        limit = self._launch.start_deadline_s if attempt.phase == "import" else deadline_s
        return TimedOut(attempt.phase, limit, stack)

    def _check_posix(self) -> None:
        if not hasattr(os, "fork"):
            raise UnusableHost(
                "measurements need a POSIX system", fix="on Windows, run attnprobe inside WSL"
            )


def _unheard(phase: str) -> None:
    """Nobody listens."""


def _lost(answer: Answer | Outcome) -> Outcome | None:
    """The outcome that cost the child its life: it crashed, or it retired without memory."""
    if isinstance(answer, Crashed):
        return answer
    if isinstance(answer, Answer) and "outcome" in answer.data:
        outcome = read_outcome(answer.data)[0]
        return outcome if isinstance(outcome, OutOfMemory) else None
    return None


@dataclass
class _Attempt:
    """One try at a question: what the child was doing when, on the host's clock."""

    phase: str = "start"
    trials_before: int = 0
    phases: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.perf_counter)

    def enter(self, phase: str) -> None:
        self.stop()
        self.phase = phase

    def stop(self) -> float:
        """Books the running phase; returns the seconds of all phases since the request."""
        now = time.perf_counter()
        self.phases[self.phase] = self.phases.get(self.phase, 0.0) + now - self._since
        self._since = now
        return sum(s for phase, s in self.phases.items() if phase != "import")
