"""What this machine has, what its libraries claim, and what was seen when they were launched."""

from attnprobe.info.backends import backend_facts
from attnprobe.info.child import Child, claims
from attnprobe.info.environment import collect, device, on_disk, warned
from attnprobe.info.launches import launch_cases, prove

__all__ = [
    "Child",
    "backend_facts",
    "claims",
    "collect",
    "device",
    "launch_cases",
    "on_disk",
    "prove",
    "warned",
]
