"""Every planted bug and every right implementation, by the name that `--backend` takes."""

from __future__ import annotations

from types import ModuleType

from tests.mutation import (
    dispatch,
    drawing,
    gradients,
    habits,
    masks,
    memory,
    precision,
    recompute,
    right,
    right_tiles,
    scores,
    states,
    strides,
    tiles,
)

WRONG = (masks, scores, precision, gradients, memory, habits)
WRONG += (tiles, recompute, dispatch, strides, states, drawing)
RIGHT = (right, right_tiles)


def wrong() -> list[str]:
    """Implementations with one bug each."""
    return [name for module in WRONG for name in _own(module)]


def sound() -> list[str]:
    """Implementations that must not be blamed, torch's own among them."""
    return [name for module in RIGHT for name in _own(module)]


def _own(module: ModuleType) -> list[str]:
    """The classes and functions that a module defines; helpers begin with an underscore."""
    return [
        f"{module.__name__}:{name}"
        for name, x in vars(module).items()
        if callable(x) and x.__module__ == module.__name__ and not name.startswith("_")
    ]
