"""Beside torch for CUDA 13, an xFormers that links CUDA 12's runtime."""

from __future__ import annotations

from attnprobe.core.environment import LoadedLibrary
from tests.unit.fake_machine import MACHINE, machine

HAS = machine(
    libraries=(
        LoadedLibrary(
            "libcudart.so.12",
            needed_by="xformers: _C.so",
            missing=True,
            others=("libcudart.so.13",),
        ),
    )
)
HEALTHY = MACHINE
