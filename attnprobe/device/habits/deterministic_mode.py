"""`torch.use_deterministic_algorithms(True)` is on in every run.

Source: https://docs.pytorch.org/docs/stable/notes/randomness.html
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from attnprobe.device.backends.base import Prepared
from attnprobe.device.backends.sdpa_default import SdpaDefault
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering.base import Refusal


class _Strict(SdpaDefault):
    """SDPA's own choice among what is deterministic, forward and backward."""

    name = "written/deterministic-mode"

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """Chosen and launched in the mode."""
        with _mode():
            found = super().prepare(inputs)
        return found if isinstance(found, Refusal) else replace(found, around=_mode)


@contextmanager
def _mode() -> Iterator[None]:
    before = torch.get_deterministic_debug_mode()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)


WRITTEN = _Strict()
