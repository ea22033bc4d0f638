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


CHECK = "check"
"""The question that is no experiment: values and gradients against the reference."""

COMPARED = (
    "accuracy",
    "nonfinite",
    "empty_rows",
    "gradient_missing",
    "shape",
    "dtype",
    "device",
    "type",
)
"""Kinds of failure that a comparison with the reference finds."""

_OTHER_NAMES = {
    "mask": "mask-decode",
    "scaling": "power-of-two",
    "alias": "inplace",
    "lse_base": "ring",
    "lse_layout": "ring",
    "lse_empty": "ring",
}
"""Kinds of failure that are not called after the experiment which finds them."""

Examine = Callable[["Subject"], tuple[Failure, ...] | Skipped]


@cache
def names() -> tuple[str, ...]:
    """All experiments, as spelled in workloads and on the command line."""
    files = (m.name for m in pkgutil.iter_modules(__path__) if m.name[0] != "_")
    return tuple(sorted(name.replace("_", "-") for name in files))


def question(name: str) -> str:
    """What to ask for a name: an experiment, or a kind of failure that one finds.

    >>> question("gradient_subsets"), question("scaling"), question("nonfinite")
    ('gradient-subsets', 'power-of-two', 'check')
    """
    asked = _OTHER_NAMES.get(name, name.replace("_", "-"))
    return CHECK if name in COMPARED else asked


def load(name: str) -> Examine:
    """The experiment of that name; needs torch.

    Args:
        name: One of `names()`.
    """
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    found: Examine = module.examine
    return found
