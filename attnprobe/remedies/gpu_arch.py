"""torch holds no machine code for this GPU.

A cubin runs on the same major compute capability with an equal or higher minor one; PTX of an equal or
lower capability is compiled on first use; code for an `a` target runs on exactly that GPU (CUDA C++
Programming Guide, "Binary Compatibility" and "PTX Compatibility").
"""

from __future__ import annotations

import re

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment

_ARCH = re.compile(r"(sm|compute)_(\d+)(\d)([af]?)")


def matches(environment: Environment, facts: tuple[BackendFact, ...]) -> str | None:
    """Tells apart GPUs without any code and GPUs that depend on PTX."""
    if environment.torch is None or not environment.torch.arch_list:
        return None
    said = []
    for gpu in environment.gpus:
        if gpu.capability is None:
            continue
        where = f"{gpu.name} has compute capability {gpu.capability[0]}.{gpu.capability[1]}"
        listed = " ".join(environment.torch.arch_list)
        match runs(gpu.capability, environment.torch.arch_list):
            case "ptx":
                said.append(
                    f"{where}; torch ({listed}) has only PTX for it, compiled on first use: slow start, "
                    "older kernels. Fix: install a torch that lists this capability."
                )
            case "no":
                said.append(
                    f"{where}, and torch was compiled for {listed}: no kernel image is available. Fix: "
                    "install a torch whose wheel lists it, or an older torch for an older GPU."
                )
    return " ".join(dict.fromkeys(said)) or None


def runs(capability: tuple[int, int], arch_list: tuple[str, ...]) -> str:
    """`native`, `ptx` or `no`.

    >>> runs((8, 6), ("sm_80", "sm_90")), runs((12, 0), ("sm_90", "compute_90"))
    ('native', 'ptx')
    """
    found = "no"
    for arch in arch_list:
        match = _ARCH.fullmatch(arch)
        if match is None:
            continue
        kind, code, only = match[1], (int(match[2]), int(match[3])), match[4]
        if only == "a":
            fits = code == capability
        elif kind == "sm":
            fits = code[0] == capability[0] and code <= capability
        else:
            fits = code <= capability
        if fits and kind == "sm":
            return "native"
        if fits:
            found = "ptx"
    return found
