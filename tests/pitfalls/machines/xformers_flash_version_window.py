"""A flash-attn from before the window, and the last one inside."""

from __future__ import annotations

from attnprobe.core.environment import Package
from tests.unit.fake_machine import with_packages

HAS = with_packages(Package("flash-attn", "2.6.3"))
HEALTHY = with_packages(Package("flash-attn", "2.8.3"))
