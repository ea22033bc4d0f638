"""The same NVIDIA library is installed for two CUDA versions, in the same folder.

nvidia-cudnn-cu12 and nvidia-cudnn-cu13 both write `nvidia/cudnn/lib/libcudnn.so.9` (nccl, cusparselt
and nvshmem likewise): the one installed last is what torch loads. nvidia-cuda-runtime-cu12 beside CUDA
13 is harmless: CUDA 13's runtime lies in `nvidia/cu13/lib` under another soname.
"""

from __future__ import annotations

import re

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment


def matches(environment: Environment, facts: tuple[BackendFact, ...]) -> str | None:
    """Names each library with two owners."""
    suffixes: dict[str, set[str]] = {}
    for package in environment.packages:
        found = re.fullmatch(r"(nvidia-.+)-(cu\d+)", package.name)
        if found:
            suffixes.setdefault(found[1], set()).add(found[2])
    doubled = {name: sorted(found) for name, found in suffixes.items() if len(found) > 1}
    if not doubled:
        return None
    listed = ", ".join(f"{name} for {' and '.join(found)}" for name, found in doubled.items())
    return (
        f"Installed for two CUDA versions in the same folder: {listed}. Fix: uninstall both and "
        "reinstall torch, so that only the one it was built for is there."
    )
