"""Death certificates: what a child's end says about the trial it was serving."""

from __future__ import annotations

import contextlib
import signal

from attnprobe.core.outcome import Crashed, OutOfMemory
from attnprobe.worker.interpreter import signal_name


def certify(phase: str, code: int | None, tail: str, kills_before: int) -> Crashed | OutOfMemory:
    """The outcome of a trial whose child ended.

    Args:
        phase: What it was doing.
        code: Exit code; the negative signal number when a signal ended it; None when unknown.
        tail: The end of what it printed.
        kills_before: `kernel_kills()` when the trial began.
    """
    if code is None:
        return Crashed(phase, stderr_tail=tail or "its exit status could not be learnt")
    if code >= 0:
        return Crashed(phase, exit_code=code, stderr_tail=tail)
    if -code == signal.SIGKILL and kernel_kills() > kills_before:
        return OutOfMemory(phase, "the kernel's out-of-memory killer ended the process")
    return Crashed(phase, signal=signal_name(-code), stderr_tail=tail)


def kernel_kills() -> int:
    """How many processes the out-of-memory killer has ended on this machine; 0 where it is not said.

    Source: `oom_kill` in /proc/vmstat (proc(5), since Linux 4.13).
    """
    with contextlib.suppress(OSError), open("/proc/vmstat") as file:
        for line in file:
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
