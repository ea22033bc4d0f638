"""Torch's public functions, which a call must leave as they were: everybody else calls them, too.

A kernel that puts itself in the place of `scaled_dot_product_attention` would be compared with itself,
and whatever is called after it in the same process would be it.
"""

from __future__ import annotations

import contextlib
import importlib
from typing import Any

import torch

_SPACES: dict[str, Any] = {
    "torch": torch,
    "torch.nn.functional": torch.nn.functional,
    "torch.Tensor": torch.Tensor,
}

Functions = dict[str, dict[str, Any]]


def now() -> Functions:
    """What each name stands for.

    torch._dynamo is imported first, as a call that compiles or checkpoints would: it wraps
    `torch.manual_seed`, which is no deed of the call (torch@2.13.0:torch/_dynamo/__init__.py).
    """
    with contextlib.suppress(Exception):  # a torch without it, or one in which it is broken
        importlib.import_module("torch._dynamo")
    return {space: dict(vars(holder)) for space, holder in _SPACES.items()}


def restore(before: Functions) -> tuple[str, ...]:
    """Puts back what was replaced; says what that was. New names that hide nothing are left."""
    replaced = []
    for space, names in before.items():
        holder = _SPACES[space]
        if vars(holder) == names:  # identity decides, so that this is quick
            continue
        for name, value in names.items():
            public = name[0] != "_" or name.endswith("__")
            if public and callable(value) and vars(holder).get(name) is not value:
                setattr(holder, name, value)
                replaced.append(f"{space}.{name}")
        for name in vars(holder).keys() - names.keys():
            if any(hasattr(base, name) for base in getattr(holder, "__bases__", ())):
                delattr(holder, name)  # it hid what the class inherits
                replaced.append(f"{space}.{name}")
    return tuple(replaced)
