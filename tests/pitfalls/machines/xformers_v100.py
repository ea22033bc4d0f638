"""A V100, and a Hopper."""

from __future__ import annotations

from tests.unit.fake_machine import MACHINE, with_gpu

HAS = with_gpu(name="Tesla V100-SXM2-32GB", capability=(7, 0))
HEALTHY = MACHINE
