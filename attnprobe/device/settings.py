"""Torch's settings that a call must leave as they were: they belong to the whole process.

A changed default dtype or grad mode would falsify the reference and every later trial; a kernel that
sets one changes the numbers of the model around it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import overrides
from torch.utils import _python_dispatch

_DEVICES = ("cpu", "cuda")


def _autocast() -> tuple[bool, ...]:
    return tuple(torch.is_autocast_enabled(device) for device in _DEVICES)


def _set_autocast(enabled: tuple[bool, ...]) -> None:
    for device, on in zip(_DEVICES, enabled, strict=True):
        torch.set_autocast_enabled(device, on)


def _nesting() -> int:
    """How many autocast contexts are open: weights that were cast are kept until none is."""
    torch.autocast_increment_nesting()
    return int(torch.autocast_decrement_nesting())


def _leave_autocast(wanted: int) -> None:
    while _nesting() > wanted:
        torch.autocast_decrement_nesting()
    torch.clear_autocast_cache()


def _modes() -> tuple[int, int]:
    """How many modes see every operation, and every function, of torch.

    Source: torch@2.13.0:torch/overrides.py, `_len_torch_function_stack`.
    """
    return torch._C._len_torch_dispatch_stack(), torch._C._len_torch_function_stack()


def _pop_modes(wanted: tuple[int, int]) -> None:
    pops: tuple[Callable[[], object], ...] = (_python_dispatch._pop_mode, overrides._pop_mode)
    for n, pop in enumerate(pops):
        while _modes()[n] > wanted[n]:
            pop()


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
    "autocast on cpu, cuda": (_autocast, _set_autocast),
    "open autocast contexts": (_nesting, _leave_autocast),
    "anomaly detection": (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    "the modes that see every operation": (_modes, _pop_modes),
    "the working directory": (os.getcwd, os.chdir),
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
