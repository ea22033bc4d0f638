"""flash-attn 2 is installed."""

from __future__ import annotations

from attnprobe.core.environment import Package
from tests.unit.fake_machine import with_packages

HAS = with_packages(Package("flash-attn", "2.8.3"))
HEALTHY = HAS
