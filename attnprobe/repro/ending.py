"""How a script ends where the call does not return: by an exception, by a death, or not at all.

Exit status 125 says that nothing can be told: there `git bisect run` skips a commit, and it gives up at
statuses above 127, with which shells show a death by a signal
(https://git-scm.com/docs/git-bisect#_bisect_run).
"""

from __future__ import annotations

from dataclasses import dataclass

from attnprobe.core.outcome import Crashed, Measured, OutOfMemory, Raised, Refused, TimedOut
from attnprobe.core.parity import Parity
from attnprobe.core.trial import Record
from attnprobe.known_bugs import QUESTION
from attnprobe.repro.calls.base import quoted

UNTOLD = 125
"""Exit status when neither the bug nor its absence was seen."""

START_S = 30
"""Seconds for a process to start and to import torch and a library."""

DEATH_S = 300
"""Seconds after which a call that used to kill its process is given up."""

_MEMORY = '"OutOfMemory" in kind.__name__ or "alloc" in str(error) or kind is MemoryError'


@dataclass(frozen=True)
class Ending:
    """Source text.

    Args:
        status: An expression of `kind` and `error`: the exit status that an exception means.
        limit_s: Seconds for a child that makes the call in place of the script; None where the call
            leaves the process alive.
    """

    status: str = str(UNTOLD)
    limit_s: float | None = None


def ending(record: Record) -> Ending:
    """What the record says of the way its script ends while it is still so."""
    match record.outcome:
        case Measured() if record.trial.question == QUESTION:
            # some calls of published bugs should be refused, and say so by this exception
            return Ending(f"0 if kind is NotImplementedError else {UNTOLD}")
        case Measured(parity=Parity(failures=failures)) if "inplace" in {f.kind for f in failures}:
            return _when('"inplace operation" in str(error).replace("in-place", "inplace")')
        case Raised(type=name, sticky=sticky):
            lost = ' or "CUDA" in str(error)' if sticky else ""
            return _when(f"kind.__name__ == {quoted(name)}{lost}")
        case Refused(by="absent" | "broken"):
            return Ending("1")
        case Refused(by="memory") | OutOfMemory():
            return _when(_MEMORY)
        case Refused():
            return _when("not issubclass(kind, ImportError)")
        case Crashed():
            return Ending(f'1 if "CUDA error" in str(error) else {UNTOLD}', DEATH_S)
        case TimedOut(limit_s=limit_s):
            return Ending(limit_s=limit_s + START_S)
        case _:
            return Ending()


def _when(condition: str) -> Ending:
    return Ending(f"1 if {condition} else {UNTOLD}")
