"""The plain attention call of a case, and its true time, for demonstrations of how people measure."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from attnprobe.device.backends import sdpa_default
from attnprobe.device.backends.base import Prepared
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering.base import Refusal

Run = Callable[[], object]

WARM = 3
CALLS = 10
LOOPS = 5


def prepared(inputs: Inputs) -> Prepared:
    """The case through `scaled_dot_product_attention`.

    Raises:
        NotImplementedError: SDPA has no way to say this case.
    """
    found = sdpa_default.BACKEND.prepare(inputs)
    if isinstance(found, Refusal):
        raise NotImplementedError("; ".join(found.reasons))
    return found


def wait(device: torch.device) -> None:
    """Until the device has done all that was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def warm(run: Run, device: torch.device) -> None:
    """Compilation, plans and lazy loading happen here."""
    for _ in range(WARM):
        run()
    wait(device)


def once(run: Run, device: torch.device) -> float:
    """Seconds of one call, waited for."""
    wait(device)
    start = time.perf_counter()
    run()
    wait(device)
    return time.perf_counter() - start


def loop(run: Run, device: torch.device) -> float:
    """Seconds per call of ten that follow each other, the last one waited for."""
    start = time.perf_counter()
    for _ in range(CALLS):
        run()
    wait(device)
    return (time.perf_counter() - start) / CALLS


def seconds(run: Run, device: torch.device) -> float:
    """Per call, warm: the median of five loops, so that one that lost its core does not count."""
    warm(run, device)
    return statistics.median(loop(run, device) for _ in range(LOOPS))
