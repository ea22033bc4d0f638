"""A GPU on which cuDNN is not asked first, for both sides: the head dims decide."""

from __future__ import annotations

from tests.unit.fake_machine import with_gpu

HAS = with_gpu(name="NVIDIA A100", capability=(8, 0))
HEALTHY = HAS
