"""The host's handle on one process: what it says, what it prints, and how it ends."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

from attnprobe.worker.forkserver import kill_group
from attnprobe.worker.wire import Receiver, Tail, send

_DUMP_S = 0.2  # time for faulthandler to write the stacks after SIGUSR1


class Gone(Exception):
    """The process ended, or closed its pipe, before it had answered."""


class Late(Exception):
    """The deadline passed before an answer came."""


class Process:
    """A child or a fork server, seen from the host.

    Attributes:
        pid: Its process id; its own process group too.
        log: The end of what it printed.
        served: Trials it has answered.

    Args:
        pid: Its process id.
        requests: Descriptor that takes our messages; may equal `answers` (a socket).
        answers: Descriptor that gives its messages.
        log: Descriptor that gives what it prints.
        end: Waits so many seconds, then kills and reaps it; returns the exit code, negative for a
            signal, None when even that cannot be learnt.
    """

    def __init__(
        self,
        pid: int,
        requests: int,
        answers: int,
        log: int,
        end: Callable[[float], int | None],
    ) -> None:
        self.pid, self.requests, self.served = pid, requests, 0
        self.log, self._answers, self._end = Tail(log), Receiver(answers), end
        self._poll = select.poll()
        for descriptor in (answers, log):
            self._poll.register(descriptor, select.POLLIN)
        self._life = _life_of(pid)
        if self._life is not None:
            self._poll.register(self._life, select.POLLIN)

    def tell(self, message: Mapping[str, Any]) -> None:
        """Sends a message.

        Raises:
            Gone: The process has ended.
        """
        try:
            send(self.requests, message)
        except (BrokenPipeError, ConnectionResetError):
            raise Gone from None

    def hear(self, until: float) -> dict[str, Any]:
        """The next message; takes in what the process prints meanwhile.

        Args:
            until: Deadline on `time.monotonic()`.

        Raises:
            Gone: It ended first, or said something that is no message.
            Late: The deadline came first.
        """
        while True:
            try:
                message = self._answers.take()
            except ValueError:
                raise Gone from None
            if message is not None:
                return message
            if self._answers.ended:
                raise Gone
            left = until - time.monotonic()
            if left <= 0:  # even while it prints without end
                raise Late
            self._take_in(left)

    def stack(self) -> str:
        """What faulthandler prints of a process that hangs."""
        self.log.forget()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGUSR1)
        until = time.monotonic() + _DUMP_S
        while (left := until - time.monotonic()) > 0 and not self._answers.ended:
            self._take_in(left)
        return self.log.text

    def outlives(self, seconds: float) -> bool:
        """True when it is still there after that time, as far as this system can tell."""
        if self._life is None:
            return False
        poll = select.poll()
        poll.register(self._life, select.POLLIN)
        return not poll.poll(seconds * 1e3)

    def kill(self) -> None:
        """SIGKILL to it and to all that it started. It stays unreaped, so the id cannot be another's."""
        kill_group(self.pid)

    def end(self, within_s: float) -> int | None:
        """Its exit code, after `within_s` by force; closes all descriptors."""
        code = self._end(within_s)
        self._drain_log()
        opened = {self.requests, self._answers.descriptor, self.log.descriptor}
        for descriptor in opened | ({self._life} if self._life is not None else set()):
            os.close(descriptor)
        return code

    def _take_in(self, seconds: float) -> None:
        """Reads whatever arrives first, if anything does in time."""
        ready = {descriptor for descriptor, _ in self._poll.poll(seconds * 1e3)}
        if self.log.descriptor in ready:
            self.log.read()
            if self.log.ended:
                self._poll.unregister(self.log.descriptor)
        if self._answers.descriptor in ready:
            self._answers.read()
        elif self._life in ready:
            self._answers.ended = True  # a grandchild may hold the pipe open; the child is dead

    def _drain_log(self) -> None:
        """Takes in what it printed last; not forever, because an escaped grandchild may print on."""
        poll, until = select.poll(), time.monotonic() + _DUMP_S
        poll.register(self.log.descriptor, select.POLLIN)
        while not self.log.ended and poll.poll(0) and time.monotonic() < until:
            self.log.read()


def _life_of(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends (pidfd_open(2): Linux 5.3)."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None  # then the closed pipe has to say it
