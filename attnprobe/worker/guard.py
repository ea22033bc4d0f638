"""The trial's boundary in the child: whatever happens inside becomes an outcome."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from attnprobe.core.outcome import Outcome, OutOfMemory, Raised

_MESSAGE_LIMIT = 4000
_OURS = (__file__, os.path.join(os.path.dirname(__file__), "child.py"))  # above every trial's own

# Allocation failures that torch raises as plain RuntimeErrors: the CPU allocator
# (torch@2.13:c10/core/impl/alloc_cpu.cpp), the CUDA runtime's own words and cuBLAS' workspace.
_OUT_OF_MEMORY = (
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "std::bad_alloc",
)


class Phases:
    """What the trial is doing, and the seconds it has spent on each thing.

    Args:
        tell: Called with the name of every phase that begins.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.current, self.seconds = "start", dict[str, float]()
        self._tell, self._since = tell, time.perf_counter()

    def announce(self, phase: str) -> None:
        """The phase that begins now; it ends when the next one does."""
        self.stop()
        self.current = phase
        self._tell(phase)

    def stop(self) -> None:
        """Books the time since the last announcement."""
        now = time.perf_counter()
        self.seconds[self.current] = self.seconds.get(self.current, 0.0) + now - self._since
        self._since = now


def guarded(act: Callable[[], Outcome], phases: Phases) -> Outcome:
    """Runs a trial and waits for the device, so that an asynchronous error is charged to this trial.

    CUDA reports an error of a kernel at some later call (CUDA C++ Programming Guide, "Error
    Checking"); most such errors spoil the context for good, which `Raised.sticky` then says.
    """
    try:
        outcome = act()
    except BaseException as error:  # noqa: BLE001 - the child's trial boundary
        outcome = outcome_of(error, phases.current)
    if not isinstance(outcome, Outcome):
        what = f"a trial must end in an outcome, not in {type(outcome).__name__}"
        outcome = Raised(phases.current, "TypeError", what)
    lost = _device_error(phases)
    if lost is not None:
        raised = outcome if isinstance(outcome, Raised) else outcome_of(lost, phases.current)
        outcome = replace(raised, sticky=True) if isinstance(raised, Raised) else raised
    if isinstance(outcome, OutOfMemory):
        _release_memory()
    return outcome


def outcome_of(error: BaseException, phase: str) -> Raised | OutOfMemory:
    """The outcome that an exception stands for."""
    message = _text(error)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename not in _OURS]
    where = "".join(traceback.format_list(frames[-3:]))
    traceback.clear_frames(error.__traceback__)  # they hold the trial's tensors
    name = type(error).__name__
    # torch.OutOfMemoryError by name, because the name is as old as torch.cuda's and this file
    # also serves interpreters without torch
    exhausted = isinstance(error, MemoryError) or name == "OutOfMemoryError"
    exhausted = exhausted or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    if exhausted or any(words in message for words in _OUT_OF_MEMORY):
        return OutOfMemory(phase, message or name)
    return Raised(phase, name, message, where)


def _text(error: BaseException) -> str:
    try:
        return str(error)[:_MESSAGE_LIMIT]
    except Exception as second:  # noqa: BLE001 - an exception of the trial's own making
        return f"(its text cannot be had: {type(second).__name__})"


def _device_error(phases: Phases) -> Exception | None:
    cuda = _cuda()
    if cuda is None:
        return None
    phases.announce("synchronize")
    try:
        cuda.synchronize()
    except Exception as error:  # noqa: BLE001 - the child's trial boundary
        return error
    return None


def _release_memory() -> None:
    """Gives back what the trial still holds, so that the next one starts level."""
    gc.collect()
    cuda = _cuda()
    if cuda is not None:
        with contextlib.suppress(Exception):  # the context may be lost
            cuda.empty_cache()


def _cuda() -> Any:
    """`torch.cuda` once it is in use; None before, and where torch is missing or broken."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    return cuda if cuda is not None and cuda.is_initialized() else None
