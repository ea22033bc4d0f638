"""The host's side: starts the script in its interpreter and waits for it, in the way of nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from attnprobe.errors import UsageError
from attnprobe.worker.interpreter import find

BOOTSTRAP = Path(__file__).with_name("bootstrap.py")

_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""What a scheduler sends to the process that it started."""


@dataclass(frozen=True)
class Wish:
    """What is to be run, and what recorded.

    Args:
        command: A script and its arguments, or `-m`, a module and its arguments.
        output: Where the capture goes.
        steps: Record so many optimizer steps; None is all.
        stop_after: End the script after so many; None is never.
        timing: Whether forward and backward are timed.
        python: The interpreter; None is the one that runs attnprobe.
    """

    command: tuple[str, ...]
    output: str
    steps: int | None = None
    stop_after: int | None = None
    timing: bool = False
    python: str | None = None


def run(wish: Wish) -> int:
    """Runs the script; its input, output and signals are its own.

    Returns:
        Its exit code, as a shell says it: 128 and the signal's number where one ended it.

    Raises:
        UsageError: There is no such script or interpreter.
    """
    module, target, arguments = _read(wish.command)
    told = {
        "target": target,
        "module": module,
        "output": wish.output,
        "steps": wish.steps,
        "stop_after": wish.stop_after,
        "timing": wish.timing,
    }
    command = [find(wish.python), str(BOOTSTRAP), json.dumps(told), *arguments]
    with _signals_passed_on() as passed:
        process = subprocess.Popen(command)
        passed.append(process)
        code = process.wait()
    return code if code >= 0 else 128 - code


def _read(command: tuple[str, ...]) -> tuple[bool, str, tuple[str, ...]]:
    """(whether it is a module, script or module, arguments)."""
    if command[0] == "-m":
        if len(command) < 2:
            raise UsageError("-m lacks the module's name", fix="-- -m PACKAGE ARGUMENTS")
        return True, command[1], command[2:]
    if command[0].startswith("-"):
        raise UsageError(
            f"{command[0]} is no option of the script's interpreter that capture passes on",
            fix="after -- comes the script, or -m and a module; -X and -W go into PYTHON variables",
        )
    script = command[0]
    if os.path.basename(script).startswith("python") and len(command) > 1:
        raise UsageError(
            "after -- comes the script, without the interpreter",
            fix=f"--python {script} -- {' '.join(command[1:])}",
        )
    if not os.path.exists(script):
        raise UsageError(f"there is no script {script!r}", fix="give its path, or -m and a module")
    return False, script, command[1:]


@contextmanager
def _signals_passed_on() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Ctrl-C reaches the script by itself, being in the same group; other signals are handed on."""
    children: list[subprocess.Popen[bytes]] = []

    def hand_on(number: int, _frame: FrameType | None) -> None:
        for child in children:
            child.send_signal(number)

    before = {signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None)}
    for number in _FORWARDED if sys.platform != "win32" else ():
        before[number] = signal.signal(number, hand_on)
    try:
        yield children
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
