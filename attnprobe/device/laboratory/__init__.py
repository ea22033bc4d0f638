"""One file per experiment: the file is the registration. Importing this package imports no torch.

`laboratory/mask_decode.py` is the question `mask-decode`. Its docstring says what it finds and why it
cannot blame a right kernel; its `examine(subject)` returns the failures, or why nothing was examined.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from attnprobe.core.parity import Failure

if TYPE_CHECKING:
    from attnprobe.device.subject import Subject


@dataclass(frozen=True)
class Skipped:
    """An experiment that says nothing on this case.

    Args:
        reason: Why.
    """

    reason: str


Examine = Callable[["Subject"], tuple[Failure, ...] | Skipped]


@cache
def names() -> tuple[str, ...]:
    """All experiments, as spelled in workloads and on the command line."""
    files = (m.name for m in pkgutil.iter_modules(__path__) if m.name[0] != "_")
    return tuple(sorted(name.replace("_", "-") for name in files))


def load(name: str) -> Examine:
    """The experiment of that name; needs torch.

    Args:
        name: One of `names()`.
    """
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    found: Examine = module.examine
    return found
