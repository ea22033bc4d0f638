"""What our processes do to themselves so that they harm nobody: no orphans, no cores, bounded memory."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent(signum: signal.Signals, parent: int) -> None:
    """Asks the kernel for `signum` when the parent dies, and leaves at once if it already has.

    Linux only (prctl(2)); elsewhere the closed pipe is what ends an idle process. The kernel means
    the *thread* that started us: a worker must be used from the thread that made it.
    """
    if sys.platform == "linux":
        with contextlib.suppress(ImportError, OSError, AttributeError):  # built without ctypes
            import ctypes

            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signum))
    if os.getppid() != parent:
        os._exit(1)


def show_stacks() -> None:
    """From now on a fatal signal prints the Python stack to stderr, and SIGUSR1 does so at any time."""
    faulthandler.enable(2)
    faulthandler.register(signal.SIGUSR1, 2, all_threads=True)


def confine(parent: int, memory_limit_bytes: int | None) -> None:
    """Makes this process a child that may crash: own session, no core file, bounded memory.

    Args:
        parent: Process id of whoever started it.
        memory_limit_bytes: How much address space it may take beyond what it has now.
    """
    if os.getsid(0) != os.getpid():
        os.setsid()  # one killpg reaches whatever a trial starts; the terminal's Ctrl-C does not
    die_with_parent(signal.SIGKILL, parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # When memory runs out it is this process that goes, not the host; without /proc the kernel chooses.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    if memory_limit_bytes is not None:
        limit = _address_space() + memory_limit_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def share_cores(threads: int) -> None:
    """Keeps this process to so many threads, unless the user has said how many.

    Imports have read the variables already, so that those who did are told; programs that a trial starts
    read them.
    """
    shared = {"OMP_NUM_THREADS": str(threads), "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    unsaid = {name: value for name, value in shared.items() if name not in os.environ}
    os.environ.update(unsaid)
    torch, inductor = (sys.modules.get(name) for name in ("torch", "torch._inductor.config"))
    if torch is not None and "OMP_NUM_THREADS" in unsaid:
        torch.set_num_threads(threads)
    if inductor is not None and "TORCHINDUCTOR_COMPILE_THREADS" in unsaid:
        inductor.compile_threads = 1  # type: ignore[attr-defined] # a module of settings


def _address_space() -> int:
    """Bytes of address space in use; 0 where /proc does not say."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0
