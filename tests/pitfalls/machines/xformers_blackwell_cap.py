"""A Blackwell GPU, and a Hopper."""

from __future__ import annotations

from tests.unit.fake_machine import MACHINE, with_gpu

HAS = with_gpu(name="NVIDIA B200", capability=(10, 0))
HEALTHY = MACHINE
