"""A flash-attn that no wheel was built of for this torch, and one whose name says this torch."""

from __future__ import annotations

from attnprobe.core.environment import Package
from tests.unit.fake_machine import with_packages

HAS = with_packages(Package("flash-attn", "2.8.3"))
HEALTHY = with_packages(Package("flash-attn", "2.8.3+cu13torch2.11cxx11abiTRUE"))
