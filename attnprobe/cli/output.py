"""Where results go: stdout, or the file that was asked for; what is said beside them goes to stderr."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from attnprobe.errors import UnusableHost


def emit(text: str) -> None:
    """Writes the result to stdout; a reader who has seen enough (`| head`) is no error."""
    try:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str) -> None:
    """One line to stderr."""
    print(text, file=sys.stderr, flush=True)


def next_step(*commands: str) -> None:
    """Names what is useful now."""
    say("next: " + "\n      ".join(commands))


def save(files: dict[Path, str]) -> None:
    """Writes files; where one cannot be written, the first text still reaches the user on stdout.

    Raises:
        UnusableHost: A folder is read-only, a disk is full.
    """
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            emit(next(iter(files.values())))
            raise UnusableHost(
                f"{path} could not be written",
                why=error.strerror or type(error).__name__,
                fix="the result is on stdout; choose another place for the file",
            ) from None
