"""What became of a trial: exactly one of six records, never a status string with optional fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from attnprobe.core.parity import Parity
from attnprobe.core.timing import Timing, Versus
from attnprobe.core.training import Training


@dataclass(frozen=True)
class Measured:
    """The backend ran; whether it is *right* is what `parity` says.

    Args:
        form: How the mask reached the library ("LowerTriangularMask", "dense bool 0.3 MiB").
        parity: Comparison with the reference, when the question was `check` or `time`.
        timing: Time and memory, when the question was `time`.
        kernels: GPU kernels (or CPU operators) that the profiler saw.
        unexpected_kernel: Why `kernels` show that another backend ran than the one asked for.
        training: How a model learned, when the question was `training`.
        versus: How it compares with a rival, when the question was `compare`.
        values: What a habit's demonstration saw, by name, when the question was `demonstrate`.
    """

    form: str
    parity: Parity | None = None
    timing: Timing | None = None
    kernels: tuple[str, ...] = ()
    unexpected_kernel: str = ""
    training: Training | None = None
    versus: Versus | None = None
    values: dict[str, float] = field(default_factory=dict)
    kind: Literal["measured"] = "measured"


@dataclass(frozen=True)
class Refused:
    """Nothing was launched, for all of these reasons.

    Args:
        by: `library`: its own checker or a NotImplementedError said no; `attnprobe`: we know of no way
            to say this case to that library; `memory`: the estimate exceeds what is free; `absent`:
            the package is not installed; `broken`: the package cannot be imported.
        reasons: Every reason known, not the first.
        fix: What would make it run, where that is known.
    """

    by: Literal["library", "attnprobe", "memory", "absent", "broken"]
    reasons: tuple[str, ...]
    fix: str = ""
    kind: Literal["refused"] = "refused"


@dataclass(frozen=True)
class Raised:
    """The library claimed support and raised.

    Args:
        phase: prepare, forward, backward, reference, verify or time.
        type: Class name of the exception.
        message: Its text.
        where: The last lines of the traceback.
        sticky: True when the device context was lost with it and the child was retired.
    """

    phase: str
    type: str
    message: str
    where: str = ""
    sticky: bool = False
    kind: Literal["raised"] = "raised"


@dataclass(frozen=True)
class Crashed:
    """The child died.

    Args:
        phase: What it was doing.
        signal: Name of the signal (SIGSEGV), empty for an exit.
        exit_code: Status of an exit; None for a signal.
        stderr_tail: The end of what it printed, faulthandler's stack included.
    """

    phase: str
    signal: str = ""
    exit_code: int | None = None
    stderr_tail: str = ""
    kind: Literal["crashed"] = "crashed"


@dataclass(frozen=True)
class TimedOut:
    """The deadline passed; the child was killed.

    Args:
        phase: What it was doing.
        limit_s: The deadline in seconds.
        stack: The Python stack at that moment.
    """

    phase: str
    limit_s: float
    stack: str = ""
    kind: Literal["timed_out"] = "timed_out"


@dataclass(frozen=True)
class OutOfMemory:
    """An allocation failed, on the device or on the host.

    Args:
        phase: What was being done.
        message: The allocator's words.
    """

    phase: str
    message: str
    kind: Literal["out_of_memory"] = "out_of_memory"


Outcome = Measured | Refused | Raised | Crashed | TimedOut | OutOfMemory

OUTCOME_KINDS: tuple[str, ...] = (
    "measured",
    "refused",
    "raised",
    "crashed",
    "timed_out",
    "out_of_memory",
)
