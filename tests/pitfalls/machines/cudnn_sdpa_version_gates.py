"""A cuDNN that shadows the wheel's, and the wheel's own."""

from __future__ import annotations

from tests.unit.fake_machine import MACHINE, with_torch

HAS = with_torch(cudnn="9.10.2")
HEALTHY = MACHINE
