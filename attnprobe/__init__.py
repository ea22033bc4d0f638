"""attnprobe tells what attention does on this machine."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`attnprobe.capture` needs no import of its own, and costs nothing before it is asked for."""
    if name == "capture":
        import importlib

        return importlib.import_module("attnprobe.capture")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
