"""What is told of a machine and its software, as names and values, section by section."""

from __future__ import annotations

from collections.abc import Callable

from attnprobe.core import units
from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment, Gpu, LoadedLibrary
from attnprobe.core.report import Report

Facts = dict[str, str]

_SITE = "site-packages/"


def sections(report: Report) -> tuple[Facts, ...]:
    """The weightiest section first; what changes by the minute (clocks, temperature) is left out.

    Two reports of one form have as many sections, whatever is in them.
    """
    machine = report.environment
    if machine is None:
        return ()
    torch = machine.torch
    return (
        {**_torch(machine), "NVIDIA driver": machine.driver, "its CUDA": machine.cuda_driver},
        {name: _together(list(map(fact, machine.gpus))) for name, fact in _GPU.items()},
        _packages(machine),
        {f"backend {fact.name}": _backend(fact) for fact in report.backends},
        {f"flag {name}": value for name, value in (torch.flags if torch else {}).items()},
        {f"variable {name}": value for name, value in machine.variables.items()},
        _host(machine),
        {f"library {each.name}": _library(each) for each in machine.libraries},
        {f"torch build, line {i}": text for i, text in enumerate(torch.debug if torch else (), 1)},
    )


def _torch(machine: Environment) -> Facts:
    torch = machine.torch
    if torch is None:
        return {"torch": f"cannot be imported: {machine.torch_error}"}
    return {
        "torch": torch.version,
        "CUDA": torch.cuda,
        "cuDNN": torch.cudnn,
        "HIP": torch.hip,
        "flash implementations": ", ".join(torch.flash_impls),
        "SDPA order": " > ".join(torch.sdpa_priority),
        "kernels built for": " ".join(torch.arch_list),
        "CPU threads": str(torch.threads),
        "CPU instructions": torch.capabilities,
    }


_GPU: dict[str, Callable[[Gpu], str]] = {
    "GPU": lambda gpu: gpu.name,
    "GPU memory": lambda gpu: units.size(gpu.memory_bytes) if gpu.memory_bytes else "",
    "GPU power limit": lambda gpu: f"{gpu.power_w[1]:.0f} W" if gpu.power_w else "",
    "GPU clock limit": lambda gpu: f"{gpu.sm_clock_mhz[1]} MHz" if gpu.sm_clock_mhz else "",
    "GPU ECC": lambda gpu: "" if gpu.ecc is None else "on" if gpu.ecc else "off",
    "GPU MIG": lambda gpu: "" if gpu.mig is None else "on" if gpu.mig else "off",
}


def _together(values: list[str]) -> str:
    """Values of several GPUs: each once, with how many have it."""
    kinds = [kind for kind in dict.fromkeys(values) if kind]
    if len(values) <= 1:
        return "".join(kinds)
    return ", ".join(f"{values.count(kind)} x {kind}" for kind in kinds)


def _host(machine: Environment) -> Facts:
    memory = machine.memory_bytes
    return {
        "attnprobe": machine.attnprobe,
        "Python": machine.python,
        "system": machine.os,
        "CPU": f"{machine.cpu}, {machine.cores} cores",
        "host memory": "" if memory is None else f"{memory / 2**30:.0f} GiB",
    }


def _packages(machine: Environment) -> Facts:
    """Versions first: a build is told where it changed. The torch in use is told already."""
    used = machine.torch.version if machine.torch else ""
    packages = [each for each in machine.packages if (each.name, each.version) != ("torch", used)]
    versions = {
        f"package {each.name}": f"{each.version}{', editable' if each.editable else ''}"
        for each in packages
    }
    return versions | {f"build of {each.name}": each.build for each in packages}


def _library(library: LoadedLibrary) -> str:
    """Where it was loaded from, told from its site-packages on: two environments lie in two places."""
    if library.missing:
        return f"missing{f', needed by {library.needed_by}' if library.needed_by else ''}"
    return library.path.rpartition(_SITE)[2]


def _backend(fact: BackendFact) -> str:
    said = fact.fact.replace("_", " ")
    return said if fact.fact == "runs" or not fact.reasons else f"{said}: {fact.reasons[0]}"
