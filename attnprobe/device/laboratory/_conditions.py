"""Circumstances under which a call must give what it always gives."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def deterministic(strict: bool = True) -> Iterator[None]:
    """Deterministic algorithms, and NaN in all memory that torch hands out without writing to it.

    Source: torch.utils.deterministic.fill_uninitialized_memory, which acts in this mode alone.

    Args:
        strict: Operations that have no deterministic form raise; else they run, and memory is filled.
    """
    mode = torch.get_deterministic_debug_mode()
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined] # set by a module property
    torch.use_deterministic_algorithms(True, warn_only=not strict)
    torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined] # as above
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined] # as above


@contextmanager
def load(device: str, wanted: bool) -> Iterator[None]:
    """Other work on the same GPU meanwhile, on a stream of its own; nothing on a CPU."""
    if not wanted or not device.startswith("cuda"):
        yield
        return
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call] # torch leaves it untyped
    a = torch.ones(2048, 2048, device=device, dtype=torch.bfloat16)
    with torch.cuda.stream(side):
        for _ in range(20):
            a = a @ a
    yield
    side.synchronize()
