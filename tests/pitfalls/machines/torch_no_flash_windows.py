"""A CUDA build of torch without flash, and one with it."""

from __future__ import annotations

from tests.unit.fake_machine import MACHINE, with_torch

HAS = with_torch(flags={"flash_compiled": "False"})
HEALTHY = MACHINE
