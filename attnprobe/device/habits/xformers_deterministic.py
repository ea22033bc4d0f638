"""xFormers trains on packed sequences under `torch.use_deterministic_algorithms(True)`.

Source: xformers@0.0.35:xformers/ops/fmha/{common,dispatch}.py (`IS_DETERMINISTIC`, `_dispatch_bw`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from attnprobe.device.backends._xformers import XformersOp
from attnprobe.device.backends.base import Prepared
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering.base import Refusal


class Deterministic(XformersOp):
    """Every launch in torch's deterministic mode; it only warns of what torch itself cannot do."""

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """The mode is entered around the launches, as by a program that set it long before."""
        prepared = super().prepare(inputs)
        return prepared if isinstance(prepared, Refusal) else replace(prepared, around=_mode)


@contextmanager
def _mode() -> Iterator[None]:
    before = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warned)


WRITTEN = Deterministic("written/xformers-deterministic", module="", kernels="flash|fmha")
MENDED = Deterministic("mended/xformers-deterministic", module="cutlass", kernels="fmha_cutlass")
