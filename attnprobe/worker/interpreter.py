"""The diagnosed interpreter: found, started, and asked what it is."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from attnprobe.errors import UnusableHost, UsageError
from attnprobe.worker.process import Gone, Late, Process

_HELLO_S = 60.0  # a bare interpreter on a slow disk; importing torch has its own time

BOOTSTRAP = Path(__file__).with_name("bootstrap.py")


@dataclass(frozen=True)
class Interpreter:
    """What the diagnosed interpreter said when it started.

    Args:
        executable: Its path, as it knows itself.
        python: Its version.
        torch: Version of the torch it imports; empty when it cannot.
        torch_error: Why not.
        cuda_touched: True when importing torch initialised CUDA, so that forking is unsafe.
        import_s: Seconds that the imports took.
    """

    executable: str
    python: str
    torch: str = ""
    torch_error: str = ""
    cuda_touched: bool = False
    import_s: float = 0.0


def find(python: str | None) -> str:
    """The path to start: a path, a command on PATH, or the interpreter that runs attnprobe.

    Links are kept, because a virtual environment is known by the link it is started through.

    Raises:
        UsageError: No such file, a folder, or a file that cannot be executed.
    """
    if python is None:
        return sys.executable
    expanded = os.path.expanduser(python)
    if os.path.isdir(expanded):
        inside = os.path.join(expanded, "bin", "python")
        fix = f"give its interpreter: --python {inside}" if os.path.exists(inside) else ""
        raise UsageError(f"--python {python}: this is a folder", fix=fix or _FIX)
    found = shutil.which(expanded)
    if found is None:
        why = "it may not be executed" if os.path.exists(expanded) else "there is no such file"
        raise UsageError(f"--python {python} cannot be started", why=why, fix=_FIX)
    return os.path.abspath(found)


_FIX = "give the path of a Python interpreter, such as .venv/bin/python"


def start(process: subprocess.Popen[bytes], descriptors: tuple[int, int, int]) -> Process:
    """A handle on a process that was just launched.

    Args:
        process: What was launched, in a session of its own.
        descriptors: requests, answers and log, as `Process` takes them.
    """

    def end(within_s: float) -> int | None:
        try:
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            handle.kill()
        else:
            handle.kill()  # what it started ends with it
        return process.wait()

    handle = Process(process.pid, *descriptors, end)
    return handle


def greet(python: str, process: Process, until: float, preloaded: bool) -> Interpreter:
    """Hears what a new interpreter says of itself.

    Args:
        python: What was started, for error messages.
        process: The process.
        until: Deadline on `time.monotonic()`.
        preloaded: Whether it was told to import torch.

    Raises:
        UsageError: It is no Python, or one that is too old.
        Broken: It died while it imported torch.
        UnusableHost: It took too long.
    """
    try:
        hello = process.hear(min(until, soon(_HELLO_S)))["hello"]
    except Gone:
        code = process.end(1.0)
        said = (process.log.text.splitlines() or ["nothing"])[-1][:200]
        why = f"it ended with {exit_words(code)} before it said hello; it printed: {said}"
        raise UsageError(f"{python} is not a usable Python interpreter", why, _FIX) from None
    except Late:
        process.end(0)
        raise UnusableHost(f"{python} did not start in time", fix=_FIX) from None
    found = Interpreter(hello["executable"], hello["python"])
    if tuple(int(part) for part in found.python.split(".")[:2]) < (3, 10):
        process.end(1.0)
        raise UsageError(
            f"{python} is Python {found.python}",
            why="attnprobe runs its measurements in Python 3.10 or newer",
            fix="give the interpreter of a newer environment",
        )
    if not preloaded:
        return found
    try:
        loaded = process.hear(until)["loaded"]
    except (Gone, Late) as error:
        late = isinstance(error, Late)
        stack = process.stack() if late else ""
        code = process.end(0 if late else 1.0)
        what = "did not end in time" if late else f"ended the process with {exit_words(code)}"
        raise Broken(found, f"importing torch {what}. {stack or process.log.text}") from None
    return Interpreter(found.executable, found.python, **loaded)


class Broken(Exception):
    """Importing torch killed the interpreter or never ended.

    Args:
        interpreter: What is known of it.
        why: What was seen.
    """

    def __init__(self, interpreter: Interpreter, why: str) -> None:
        super().__init__(why)
        self.interpreter, self.why = interpreter, why


def exit_words(code: int | None) -> str:
    """`exit code 3`, `SIGSEGV`, or that it could not be learnt."""
    if code is None:
        return "an unknown status"
    return f"exit code {code}" if code >= 0 else signal_name(-code)


def signal_name(number: int) -> str:
    """SIGSEGV for 11; real-time signals keep their number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of the diagnosed interpreter: the caller's, with `variables` on top."""
    return {**os.environ, **variables}


def soon(seconds: float) -> float:
    """A deadline on `time.monotonic()`."""
    return time.monotonic() + seconds
