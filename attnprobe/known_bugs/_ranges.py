"""Versions and hardware that a report names, held against the machine."""

from __future__ import annotations

import re
from dataclasses import dataclass

from attnprobe.core.environment import Environment


@dataclass(frozen=True)
class Versions:
    """Releases of one library.

    Args:
        library: Name of a distribution, or `cudnn` for the one that torch has loaded.
        first: The first affected release; empty when it is not known or there never was another.
        fixed: The first release that is right again; empty when none was known.
    """

    library: str
    first: str = ""
    fixed: str = ""

    @property
    def text(self) -> str:
        """`torch 2.11 and later`, `torch before 2.5`, `flash-attn`."""
        match self.first, self.fixed:
            case "", "":
                return self.library
            case first, "":
                return f"{self.library} {first} and later"
            case "", fixed:
                return f"{self.library} before {fixed}"
            case first, fixed:
                return f"{self.library} {first} until {fixed}"

    def covers(self, environment: Environment) -> bool | None:
        """Whether the release that is here is one of these; None when it is not known."""
        here = _version(environment, self.library)
        if here is None:
            return False
        if not here:
            return None
        return here >= _numbers(self.first) and (not self.fixed or here < _numbers(self.fixed))


@dataclass(frozen=True)
class Hardware:
    """GPUs that a report names.

    Args:
        majors: First numbers of their compute capability; empty is any, a CPU included.
    """

    majors: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """`compute capability 9.x`."""
        names = " or ".join(f"{major}.x" for major in self.majors)
        return f"compute capability {names}" if names else ""

    def covers(self, environment: Environment) -> bool | None:
        """Whether one of the machine's GPUs is one of these; None when NVML did not say."""
        if not self.majors:
            return True
        known = [gpu.capability for gpu in environment.gpus]
        if any(found is not None and found[0] in self.majors for found in known):
            return True
        return None if None in known else False


def _version(environment: Environment, library: str) -> tuple[int, ...] | None:
    """The release that is here; empty when it cannot be read, None when there is none."""
    torch = environment.torch
    if library == "cudnn":
        return _numbers(torch.cudnn) if torch is not None and torch.cudnn else None
    if library == "torch" and torch is not None:
        return _numbers(torch.version)
    found = next((p for p in environment.packages if p.name == library), None)
    return None if found is None else _numbers(found.version)


def _numbers(version: str) -> tuple[int, ...]:
    """`2.11.0+cu130` is (2, 11, 0)."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()
