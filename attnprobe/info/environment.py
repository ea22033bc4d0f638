"""The environment: what the host finds without torch, joined with what a live torch says."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from attnprobe import __version__
from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment, Gpu, LoadedLibrary, Torch
from attnprobe.core.jsonio import decode
from attnprobe.info.child import Child, facts
from attnprobe.info.words import reasons
from attnprobe.probe import libraries, nvml, packages, system
from attnprobe.remedies import warnings


def on_disk(python: str | None = None) -> Environment:
    """What can be had in a tenth of a second and without a child: distributions, driver, GPUs.

    Args:
        python: The diagnosed interpreter; None is the one that runs attnprobe.
    """
    installed, seen = packages.installed(python), nvml.read()
    return Environment(
        attnprobe=__version__,
        python=installed.python,
        os=system.operating_system(),
        cpu=system.cpu(),
        cores=system.cores(),
        driver=seen.driver,
        cuda_driver=seen.cuda_driver,
        gpus=seen.gpus,
        packages=installed.packages,
        variables=system.variables(os.environ),
        gaps=(*installed.gaps, *seen.gaps, "torch was not started"),
    )


def collect(child: Child, python: str | None = None) -> Environment:
    """Everything that can be found out; what cannot is a gap with its reason. Never raises for that.

    Args:
        child: Asked for what only a live torch can say; it may die of the import.
        python: The interpreter that the child runs; None is the one that runs attnprobe.
    """
    installed = packages.installed(python)
    seen = nvml.read()  # before the child: its own CUDA context must not count as another process
    gaps = [*installed.gaps, *seen.gaps]
    lacking: tuple[LoadedLibrary, ...] = ()
    if sys.platform.startswith("linux"):
        loader = libraries.system_loader(installed.executable)
        lacking, unread = libraries.missing(installed.extensions, installed.roots, loader)
        gaps += unread
    else:
        gaps.append(f"needed libraries: read from ELF files only, and this is {sys.platform}")
    environment = Environment(
        attnprobe=__version__,
        python=installed.python,
        os=system.operating_system(),
        cpu=system.cpu(),
        cores=system.cores(),
        memory_bytes=system.memory_bytes(),
        driver=seen.driver,
        cuda_driver=seen.cuda_driver,
        gpus=seen.gpus,
        packages=installed.packages,
        libraries=lacking,
        variables=system.variables(os.environ),
    )
    said = facts(child)
    if isinstance(said, dict):
        return warned(_with_torch(environment, said, gaps))
    words = "; ".join(reasons(said))
    gaps.append(f"torch, its libraries and what it sees of the GPUs: {words}")
    return warned(replace(environment, torch_error=words, gaps=tuple(gaps)))


def warned(environment: Environment, facts: Iterable[BackendFact] = ()) -> Environment:
    """The same environment with every mismatch that is recognised.

    Args:
        environment: The machine.
        facts: Claim beside fact, once backends were launched: some mismatches only show then.
    """
    return replace(environment, warnings=warnings(environment, facts))


def device(environment: Environment) -> str:
    """`cuda` when torch sees a GPU, else `cpu`."""
    return "cuda" if any(gpu.multiprocessors for gpu in environment.gpus) else "cpu"


def _with_torch(environment: Environment, said: Mapping[str, Any], gaps: list[str]) -> Environment:
    loaded = tuple(decode(LoadedLibrary, item, {}) for item in said["libraries"])
    names = {library.name for library in loaded}
    lacking = tuple(library for library in environment.libraries if library.name not in names)
    return replace(
        environment,
        torch=decode(Torch, said["torch"], {}),
        gpus=_joined(environment.gpus, said["gpus"]),
        libraries=loaded + lacking,
        gaps=(*gaps, *said["gaps"]),
    )


def _joined(seen: tuple[Gpu, ...], visible: list[dict[str, Any]]) -> tuple[Gpu, ...]:
    """NVML's GPUs with what torch adds; those that NVML does not show, from torch alone."""
    by_uuid = {_bare(gpu.uuid): gpu for gpu in seen}
    found = dict(by_uuid)
    for device in visible:
        uuid = _bare(device["uuid"])
        known = by_uuid.get(uuid) or Gpu(
            index=device["index"],
            uuid=device["uuid"],
            name=device["name"],
            capability=(device["capability"][0], device["capability"][1]),
            memory_bytes=device["memory_bytes"],
            memory_used_bytes=device["free_bytes"]
            and device["memory_bytes"] - device["free_bytes"],
        )
        found[uuid or str(device["index"])] = replace(
            known, multiprocessors=device["multiprocessors"]
        )
    return tuple(found.values())


def _bare(uuid: str) -> str:
    """NVML says `GPU-<uuid>`, torch says `<uuid>`."""
    return uuid.removeprefix("GPU-").lower()
