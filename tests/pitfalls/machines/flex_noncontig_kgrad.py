"""torch 2.6 on both sides: contiguous tensors are right there too."""

from __future__ import annotations

from tests.unit.fake_machine import with_torch

HAS = HEALTHY = with_torch(version="2.6.0+cu124")
