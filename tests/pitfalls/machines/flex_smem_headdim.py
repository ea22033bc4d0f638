"""A consumer GPU, whose blocks have 99 KiB of shared memory, and an H200."""

from __future__ import annotations

from tests.unit.fake_machine import MACHINE, with_gpu

HAS = with_gpu(name="NVIDIA GeForce RTX 4090", capability=(8, 9), multiprocessors=128)
HEALTHY = MACHINE
