"""Small questions that several rules ask of an environment."""

from __future__ import annotations

import re

from attnprobe.core.environment import Environment, Package


def package(environment: Environment, name: str) -> Package | None:
    """The distribution of that name that would be imported."""
    return next((p for p in environment.packages if p.name == name), None)


def release(version: str) -> tuple[int, ...]:
    """The numbers at the start of a version: `2.11.0+cu130` is (2, 11, 0)."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def torch_version(environment: Environment) -> str:
    """Version of the live torch, else of the one on disk; empty without."""
    if environment.torch is not None:
        return environment.torch.version
    found = package(environment, "torch")
    return found.version if found else ""
