"""Every planted bug and every right implementation, by the name that `--backend` takes."""

from __future__ import annotations

import inspect
from types import ModuleType

from tests.mutation import gradients, masks, memory, precision, right, scores
from tests.mutation.base import Attention

WRONG = (masks, scores, precision, gradients, memory)


def wrong() -> list[str]:
    """Classes with one bug each."""
    return [name for module in WRONG for name in _classes(module)]


def sound() -> list[str]:
    """Implementations that must not be blamed, torch's own among them."""
    functions = [f"{right.__name__}:{f}" for f in ("torch_default", "torch_math")]
    return _classes(right) + functions


def says(name: str) -> str:
    """What is wrong with it."""
    place, _, attribute = name.rpartition(":")
    module = next(m for m in (*WRONG, right) if m.__name__ == place)
    return inspect.getdoc(getattr(module, attribute)) or ""


def _classes(module: ModuleType) -> list[str]:
    return [
        f"{module.__name__}:{name}"
        for name, x in vars(module).items()
        if inspect.isclass(x) and issubclass(x, Attention) and x.__module__ == module.__name__
    ]
