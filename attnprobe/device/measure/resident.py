"""Peak resident memory of a call in a child that has done nothing else: what the system had to find."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import re
from collections.abc import Callable
from pathlib import Path

import torch

from attnprobe.core import units
from attnprobe.device.measure.memory import Peak

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -3, -1  # glibc@2.39:malloc/malloc.h
_SMALL = 64 * 1024
_NOISE = 2**20
"""Pages of stacks, of Python and of small blocks: a reading below the floor by less is believed."""


def resident(run: Callable[[], object], device: torch.device, floor_bytes: int) -> Peak:
    """Runs the call twice, warm and then watched by the kernel (VmHWM over VmRSS before).

    glibc is told to give every block above 64 KiB back when it is freed: by default it keeps blocks
    below 32 MiB in its heap and does not always fit the next one in, so that `softmax(QK^T)V` read
    twice what it held at once. What earlier trials left in the heap would be reused unseen: to be called
    in a fresh child.

    Source of `clear_refs`: https://docs.kernel.org/filesystems/proc.html (5 resets the peak).

    Args:
        run: The call; what it returns is kept alive until the peak has been read.
        device: The CPU.
        floor_bytes: What it must at least hold; a lower reading is not believed.
    """
    tuned = _give_back_at_once()
    run()  # code that is loaded lazily, thread stacks and compiled plans are not this call's
    gc.collect()
    before = _reset_peak()
    kept = run()
    after = _kilobytes("VmHWM")
    del kept
    if before is None or after is None:
        return Peak(None, "this system does not tell the peak resident set of a process")
    found = after - before
    if found + _NOISE < floor_bytes:
        return Peak(
            None,
            f"the resident set grew by {units.size(max(0, found))}, less than the outputs need "
            f"({units.size(floor_bytes)}): the call reuses memory that was there",
        )
    kept_back = "" if tuned else "; freed blocks may have been kept by the C library"
    how = f"peak resident set of a fresh process, {torch.get_num_threads()} threads{kept_back}"
    return Peak(max(found, floor_bytes), how)


def _give_back_at_once() -> bool:
    """Asks glibc to map large blocks one by one; False where the C library is another one."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        return bool(
            libc.mallopt(_M_MMAP_THRESHOLD, _SMALL) and libc.mallopt(_M_TRIM_THRESHOLD, _SMALL)
        )
    return False


def _reset_peak() -> int | None:
    """Bytes that are resident now, from where the peak counts again."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    try:
        _CLEAR.write_text("5")
    except OSError:
        return None
    return _kilobytes("VmRSS")


def _kilobytes(name: str) -> int | None:
    """A line of /proc/self/status, in bytes."""
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
