"""A torch that refuses cuDNN other probabilities, and the last one that did not."""

from __future__ import annotations

from tests.unit.fake_machine import MACHINE, with_torch

HAS = with_torch(version="2.12.0+cu130")
HEALTHY = MACHINE
