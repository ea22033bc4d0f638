"""What a user's own script asks of attention: seen, recognised, replayed.

The package is callable: `with attnprobe.capture("run.json"):` records what happens inside.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnprobe.capture.within import Within


class _Callable(ModuleType):
    """A package by this name has to exist, and users want to call it."""

    def __call__(
        self, path: str | None = None, *, steps: int | None = None, timing: bool = False
    ) -> Within:
        """See `attnprobe.capture.within.Within`."""
        from attnprobe.capture.within import Within

        return Within(path, steps=steps, timing=timing)


sys.modules[__name__].__class__ = _Callable
