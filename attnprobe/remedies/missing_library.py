"""An extension needs a shared library that the loader does not find.

xformers 0.0.35's wheel is built for CUDA 12.8 and needs `libcudart.so.12`; beside a CUDA 13 torch only
`libcudart.so.13` is loaded, its import warns, and from then on every operator refuses (xformers#1241).
It works once `nvidia-cuda-runtime-cu12` is installed and loaded first: seen with torch 2.11.0+cu130.
"""

from __future__ import annotations

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment, LoadedLibrary

_RUNTIMES = {
    "libcudart.so.12": ("nvidia-cuda-runtime-cu12", "nvidia/cuda_runtime/lib/libcudart.so.12"),
    "libcudart.so.13": ("nvidia-cuda-runtime", "nvidia/cu13/lib/libcudart.so.13"),
}
"""Distribution that holds a CUDA runtime, and where its wheel puts it."""


def matches(environment: Environment, facts: tuple[BackendFact, ...]) -> str | None:
    """Names each library that is missing, who needs it, what is there instead, and the way out."""
    by_owner: dict[str, list[LoadedLibrary]] = {}
    for library in environment.libraries:
        if library.missing:
            by_owner.setdefault(library.needed_by, []).append(library)
    return " ".join(_one(owner, missing) for owner, missing in by_owner.items()) or None


def _one(needed_by: str, missing: list[LoadedLibrary]) -> str:
    owner, _, file = needed_by.partition(": ")
    names = {library.name for library in missing}
    what = f"{owner} ({file}) needs {', '.join(_described(library) for library in missing)}."
    if "libcuda.so.1" in names:
        return f"{what} Fix: libcuda.so.1 comes with the NVIDIA driver; install it."
    if "libtorch_cuda.so" in names:
        return f"{what} Fix: it was built for a CUDA build of torch; install one, or nothing of it runs."
    runtime = next((x for x in missing if x.name.startswith("libcudart.so.")), missing[0])
    if runtime.elsewhere:
        return f"{what} Fix: {_tell_loader(runtime.elsewhere)}, or {_preload(runtime.name)}."
    if runtime.name in _RUNTIMES:
        package, path = _RUNTIMES[runtime.name]
        return (
            f"{what} Fix: install {owner} for the CUDA version of this torch; or pip install {package}, "
            f"then {_tell_loader(path)}, or {_preload(runtime.name)}."
        )
    return f"{what} Fix: install the package that holds it, or put its folder on LD_LIBRARY_PATH."


def _described(library: LoadedLibrary) -> str:
    if library.elsewhere:
        return f"{library.name} ({library.elsewhere} is installed, where the loader does not look)"
    if library.others:
        return f"{library.name} (only {', '.join(library.others)} is present)"
    return f"{library.name} (not found)"


def _tell_loader(path: str) -> str:
    """A line for the shell that holds wherever the package is installed."""
    folder = path.rpartition("/")[0]
    package, _, rest = folder.rpartition("/")
    module = package.replace("/", ".")
    found = f"$(python -c 'import {module} as p; print(p.__path__[0])')/{rest}"
    return f"export LD_LIBRARY_PATH={found}:$LD_LIBRARY_PATH"


def _preload(soname: str) -> str:
    return f"load {soname} first with ctypes.CDLL(PATH, ctypes.RTLD_GLOBAL)"
