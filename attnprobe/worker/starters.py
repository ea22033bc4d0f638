"""Two ways to a fresh child: forked from a server that has imported torch, or a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from attnprobe.errors import UsageError
from attnprobe.worker.interpreter import BOOTSTRAP, Broken, Interpreter, greet, soon, start
from attnprobe.worker.process import Gone, Late, Process

_REPLY_S = 15.0  # a server's reply; a child that the kernel cannot end (state D) takes longer


@dataclass(frozen=True)
class Launch:
    """How the diagnosed interpreter is launched.

    Args:
        python: Path of the interpreter.
        variables: Its environment.
        entry: The function that answers trials.
        memory_limit_bytes: Address space that a child may take beyond what it starts with.
        start_deadline_s: How long starting and importing may take, in seconds.
        preload: Whether torch is imported before the first request.
    """

    python: str
    variables: dict[str, str]
    entry: str
    memory_limit_bytes: int | None = None
    start_deadline_s: float = 300.0
    preload: bool = True
    told: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        told = {
            "entry": self.entry,
            "memory_limit_bytes": self.memory_limit_bytes,
            "preload": self.preload,
            "host": os.getpid(),
        }
        object.__setattr__(self, "told", told)

    def run(
        self, main: str, log: int, keep: tuple[int, ...], **told: int
    ) -> subprocess.Popen[bytes]:
        """Starts the interpreter with the bootstrap.

        Raises:
            UsageError: The system cannot execute that file.
        """
        message = json.dumps({**self.told, **told, "main": main})
        try:
            return subprocess.Popen(
                [self.python, str(BOOTSTRAP), message],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=keep,
                env=self.variables,
                start_new_session=True,
            )
        except OSError as error:
            why = error.strerror or str(error)
            raise UsageError(f"{self.python} cannot be started", why=why) from None


class Starter(Protocol):
    """Makes children.

    Attributes:
        interpreter: What runs them.
    """

    interpreter: Interpreter

    def child(self, threads: int | None = None) -> Process:
        """A fresh child that has said it is ready or soon will.

        Args:
            threads: Its share of the cores, beside others; None for all.

        Raises:
            Gone: No child can be had any more.
        """
        ...

    def close(self) -> None:
        """Ends whatever this has started and the host has not ended."""
        ...


class ForkServer:
    """A process that imported torch and never touched CUDA; a fork of it costs some 20 ms.

    Args:
        launch: What to start.
    """

    def __init__(self, launch: Launch) -> None:
        self._turn = threading.Lock()  # one conversation with the server at a time
        self._control, theirs = socket.socketpair()
        log, their_log = os.pipe()
        with theirs, _closing(their_log):
            number = theirs.fileno()
            popen = launch.run("attnprobe.worker.forkserver", their_log, (number,), answers=number)
        control = os.dup(self._control.fileno())
        self._server = start(popen, (control, control, log))
        self.interpreter = greet(
            launch.python, self._server, soon(launch.start_deadline_s), launch.preload
        )

    def child(self, threads: int | None = None) -> Process:
        """A fork of the server."""
        requests_out, requests = os.pipe()
        answers, answers_in = os.pipe()
        log, log_in = os.pipe()
        theirs = (requests_out, answers_in, log_in)
        try:
            with self._turn:
                message = json.dumps({"do": "fork", "threads": threads}).encode()
                socket.send_fds(self._control, [message], list(theirs))
                pid = self._server.hear(soon(_REPLY_S))["forked"]
        except (Gone, Late, OSError):
            for descriptor in (requests, answers, log):
                os.close(descriptor)
            raise Gone from None
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        return Process(pid, requests, answers, log, lambda within: self._end(pid, within))

    def _end(self, pid: int, within_s: float) -> int | None:
        try:
            with self._turn:
                self._server.tell({"do": "end", "pid": pid, "within_s": within_s})
                code: int | None = self._server.hear(soon(within_s + _REPLY_S))["ended"]
        except (Gone, Late):
            return None
        return code

    def close(self) -> None:
        """Closes the connection, upon which the server ends its children and itself."""
        with contextlib.suppress(OSError), self._control:  # the server may be gone already
            self._control.shutdown(socket.SHUT_RDWR)
        self._server.end(1.0)


class Spawner:
    """Every child is a process of its own that imports torch anew.

    Args:
        launch: What to start.
    """

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._first: Process | None
        self._first, self.interpreter = self._process()

    def child(self, threads: int | None = None) -> Process:
        """A new process, its imports done."""
        if self._first is not None and threads is None:
            first, self._first = self._first, None
            return first
        try:
            return self._process(threads or 0)[0]
        except Broken:
            raise Gone from None

    def _process(self, threads: int = 0) -> tuple[Process, Interpreter]:
        requests_out, requests = os.pipe()
        answers, answers_in = os.pipe()
        log, log_in = os.pipe()
        with _closing(requests_out), _closing(answers_in), _closing(log_in):
            popen = self._launch.run(
                "attnprobe.worker.child",
                log_in,
                (requests_out, answers_in),
                requests=requests_out,
                answers=answers_in,
                threads=threads,
            )
        child = start(popen, (requests, answers, log))
        until = soon(self._launch.start_deadline_s)
        return child, greet(self._launch.python, child, until, self._launch.preload)

    def close(self) -> None:
        """Ends the child that nobody took."""
        if self._first is not None:
            self._first.end(0)
            self._first = None


def starter_for(launch: Launch, fork: bool) -> Starter:
    """The way that works: without torch when importing it kills, without forks when CUDA was touched.

    Raises:
        UsageError: The interpreter is unusable.
        UnusableHost: It did not start in time.
    """
    kind = ForkServer if fork else Spawner
    try:
        found: Starter = kind(launch)
    except Broken as broken:
        found = kind(replace(launch, preload=False))
        found.interpreter = replace(broken.interpreter, torch_error=broken.why)
        return found
    if fork and found.interpreter.cuda_touched:
        found.close()
        return Spawner(launch)
    return found


class Source:
    """The starter that several workers share: made when first needed, replaced when it has died.

    Start it in the main thread: a server ends with the thread that started it.

    Args:
        launch: What to start.
        fork: True for a fork server, which answers one worker at a time.
    """

    def __init__(self, launch: Launch, fork: bool) -> None:
        self.launch = launch
        self._fork, self._lock = fork, threading.Lock()
        self._starter: Starter | None = None

    def get(self) -> Starter:
        """The starter.

        Raises:
            UsageError: The interpreter is unusable.
            UnusableHost: It did not start in time.
        """
        with self._lock:
            if self._starter is None:
                self._starter = starter_for(self.launch, self._fork)
            return self._starter

    def child(self, threads: int | None = None) -> Process:
        """A fresh child; of a fresh starter, when the present one has died.

        Args:
            threads: Its share of the cores, beside others; None for all.

        Raises:
            Gone: Not even that helped.
        """
        starter = self.get()
        try:
            return starter.child(threads)
        except Gone:
            with self._lock:
                if self._starter is starter:
                    self._starter = None
                    starter.close()
        return self.get().child(threads)

    @property
    def binds_to_thread(self) -> bool:
        """True when a child is a child of the thread that asked for it, and dies with it."""
        return isinstance(self._starter, Spawner)

    def close(self) -> None:
        """Ends what was started."""
        with self._lock:
            if self._starter is not None:
                self._starter.close()
                self._starter = None


@contextlib.contextmanager
def _closing(descriptor: int) -> Any:
    try:
        yield
    finally:
        os.close(descriptor)
