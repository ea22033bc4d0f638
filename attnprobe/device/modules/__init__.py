"""Layers around an attention call, timed whole: one folder per layer. Importing this imports no torch.

`modules/mha_layer/` is the layer `mha-layer` (`Case.module`), of width D = Hq * K. Its `__init__.py`
names the ways to compute it, `VARIANTS`, which take the place of backends; its `layer.py` holds
`LAYER` (base.py): what tensors the layer has, what it computes, and each variant.
"""

from __future__ import annotations

import importlib
import pkgutil
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING

from attnprobe.errors import UsageError

if TYPE_CHECKING:
    from attnprobe.device.modules.base import Layer


@cache
def names() -> tuple[str, ...]:
    """All layers, as spelled in workloads."""
    folders = (m.name for m in pkgutil.iter_modules(__path__) if m.ispkg)
    return tuple(sorted(name.replace("_", "-") for name in folders))


def variants(name: str) -> tuple[str, ...]:
    """The ways to compute a layer: the ordinary one first, those that compile last.

    Raises:
        UsageError: No such layer.
    """
    if name not in names():
        near = get_close_matches(name, names(), n=3) or names()
        raise UsageError(f"unknown module {name[:60]!r}", fix=f"did you mean {', '.join(near)}?")
    folder = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    found: tuple[str, ...] = folder.VARIANTS
    return found


def load(name: str) -> Layer:
    """The layer of that name; needs torch.

    Args:
        name: One of `names()`.
    """
    file = importlib.import_module(f"{__name__}.{name.replace('-', '_')}.layer")
    found: Layer = file.LAYER
    return found
