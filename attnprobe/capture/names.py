"""Who knows a function by which name: it is replaced for some, and must stay what it was for others."""

from __future__ import annotations

import sys
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import torch

from attnprobe.capture.facts import PLAIN

ORIGINAL = "__attnprobe_original__"
"""Attribute of a watched function: what it stands for."""


def bound_names() -> dict[int, list[tuple[Any, str]]]:
    """Where modules outside of torch hold functions, by their id: a notebook's early imports."""
    found: dict[int, list[tuple[Any, str]]] = {}
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType) and not _is_torch(module):
            for key, value in list(vars(module).items()):
                if isinstance(value, (FunctionType, BuiltinFunctionType)):
                    original = vars(value).get(ORIGINAL, value) if _has_dict(value) else value
                    found.setdefault(id(original), []).append((module, key))
    return found


def _has_dict(function: object) -> bool:
    """Python's own functions have one; what an earlier capture left bound is known by it."""
    return isinstance(function, FunctionType)


def _is_torch(module: ModuleType) -> bool:
    return getattr(module, "__name__", "").split(".")[0] == "torch"


def holds_causal_bias(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """A flag in the form of a tensor: it calls again what was called, which is counted already."""
    return any(type(value).__name__ == "CausalBias" for value in (*args, *kwargs.values()))


def torch_s_own(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a subclass that overrides functions is one of torch's, which know builtins by identity.

    All others (and modes, and CausalBias) compare with the public name, which is our wrapper's now: they
    are handed the wrapper.
    """
    found = {type(v) for v in (*args, *kwargs.values()) if isinstance(v, torch.Tensor)} - set(PLAIN)
    return bool(found) and all(
        kind.__module__.startswith("torch.") and kind.__name__ != "CausalBias" for kind in found
    )
