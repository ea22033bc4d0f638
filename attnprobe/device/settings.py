"""Torch's settings that a call must leave as they were: they belong to the whole process.

A changed default dtype or grad mode would falsify the reference and every later trial; a kernel that
sets one changes the numbers of the model around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

_SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "the default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "the default device": (
        torch.get_default_device,
        lambda device: torch.set_default_device(None if device.type == "cpu" else device),
    ),
    "grad mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "deterministic algorithms": (
        torch.get_deterministic_debug_mode,
        torch.set_deterministic_debug_mode,
    ),
    "the precision of float32 products": (
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
    "the number of threads": (torch.get_num_threads, torch.set_num_threads),
    "the seed": (torch.initial_seed, torch.manual_seed),
}

Settings = dict[str, Any]


def now() -> Settings:
    """What is set."""
    return {name: get() for name, (get, _) in _SETTINGS.items()}


def restore(before: Settings) -> tuple[str, ...]:
    """Sets back what differs; says what that was: `grad mode (True -> False)`."""
    changed = []
    for name, (get, put) in _SETTINGS.items():
        value = get()
        if value != before[name]:
            put(before[name])
            changed.append(f"{name} ({before[name]} -> {value})")
    return tuple(changed)


@contextmanager
def kept() -> Iterator[None]:
    """Whatever is set inside is set back at the end."""
    before = now()
    try:
        yield
    finally:
        restore(before)
