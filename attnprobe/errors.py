"""The one family of errors that ends a command, and the exit code that each one means.

What happens to a *trial* is never an exception: it is an `Outcome` (core/outcome.py).
"""

from __future__ import annotations


class AttnprobeError(Exception):
    """A command cannot go on. Says what happened, why, and how to fix it.

    Args:
        what: One sentence: what could not be done.
        why: The cause, in the user's terms; several problems go on lines of their own.
        fix: The next thing to try.
    """

    exit_code = 4

    def __init__(self, what: str, why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what, self.why, self.fix = what, why, fix

    def __str__(self) -> str:
        parts = [self.what, self.why and f"why: {self.why}", self.fix and f"fix: {self.fix}"]
        return "\n".join(part for part in parts if part)


class UsageError(AttnprobeError):
    """The command line, a workload or another input is wrong (exit 2)."""

    exit_code = 2


class SessionError(AttnprobeError):
    """A saved session or report cannot be read (exit 2)."""

    exit_code = 2


class UnusableHost(AttnprobeError):
    """This machine cannot do what was asked (exit 3)."""

    exit_code = 3


class Interrupted(AttnprobeError):
    """The user stopped the run; everything measured until then is kept (exit 130, as shells do)."""

    exit_code = 130


class InternalError(AttnprobeError):
    """A bug in attnprobe (exit 4)."""
