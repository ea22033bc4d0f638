"""An xFormers after 0.0.35, without MSLK's kernels and with them."""

from __future__ import annotations

from attnprobe.core.environment import Package
from tests.unit.fake_machine import machine

HAS = machine(packages=(Package("torch", "2.12.0+cu130"), Package("xformers", "0.0.36")))
HEALTHY = machine(
    packages=(*HAS.packages, Package("mslk-cuda", "1.0.0")),
)
