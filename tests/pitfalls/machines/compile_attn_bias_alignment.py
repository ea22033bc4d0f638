"""torch 2.2, and a later one."""

from __future__ import annotations

from tests.unit.fake_machine import MACHINE, with_torch

HAS = with_torch(version="2.2.2+cu121")
HEALTHY = MACHINE
