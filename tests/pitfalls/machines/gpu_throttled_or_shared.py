"""A GPU at its power limit, and an idle one."""

from __future__ import annotations

from tests.unit.fake_machine import MACHINE, with_gpu

HAS = with_gpu(throttle=("software power cap",))
HEALTHY = MACHINE
