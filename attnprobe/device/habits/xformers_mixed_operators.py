"""xFormers is told `op=(flash.FwOp, cutlass.BwOp)`: a forward and a backward of different families.

Source: xformers@0.0.35:xformers/ops/fmha/__init__.py, `_fMHA.forward`.
"""

from __future__ import annotations

import importlib
from typing import Any

from attnprobe.device.backends._xformers import XformersOp, fmha


class Mixed(XformersOp):
    """Flash forward, CUTLASS backward."""

    def operators(self) -> tuple[Any, Any]:
        """One of each."""
        flash, cutlass = (
            importlib.import_module(f"{fmha().__name__}.{name}") for name in ("flash", "cutlass")
        )
        return flash.FwOp, cutlass.BwOp


WRITTEN = Mixed("written/xformers-mixed-operators", module="flash", kernels="flash")
