"""Imports torch without touching CUDA, and says what came of it."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

PARTS = ("torch.nn.attention.bias", "torch.nn.attention.flex_attention", "torch.profiler")
"""Parts of torch that nearly every trial needs and that bring torch._dynamo with them: about a second
of imports (torch@2.13:torch/nn/attention/bias.py, `torch._dynamo.allow_in_graph`), paid once here
instead of in the first trial of every child."""

NVML_CHECK = "PYTORCH_NVML_BASED_CUDA_CHECK"


def preload(entry: str) -> dict[str, Any]:
    """Imports torch, then our own device code, which every child would otherwise import again.

    An error in our own imports is left for the child to meet and to report.

    Args:
        entry: The function that answers trials, as `locate` reads it.

    Returns:
        `torch` (its version, empty when it cannot be imported), `torch_error`, `import_s`, and
        `cuda_touched`: true when something has initialised CUDA, which does not survive a fork.
    """
    started = time.perf_counter()
    with _nvml_check():
        try:
            import torch

            found = {"torch": str(torch.__version__), "torch_error": ""}
            for part in PARTS:
                with contextlib.suppress(Exception):  # an older torch lacks some
                    importlib.import_module(part)
            with contextlib.suppress(Exception):
                locate(entry)
            touched = bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call] # torch's
        except BaseException as error:  # noqa: BLE001 - a broken torch is a fact to report
            found = {"torch": "", "torch_error": f"{type(error).__name__}: {error}"}
            touched = False
    return {**found, "cuda_touched": touched, "import_s": time.perf_counter() - started}


def locate(entry: str) -> Callable[..., Any]:
    """The function that `package.module:function` or `FILE.py:function` names."""
    place, _, name = entry.rpartition(":")
    module = _load_file(place) if place.endswith(".py") else importlib.import_module(place)
    found: Callable[..., Any] = getattr(module, name)
    return found


def _load_file(path: str) -> ModuleType:
    name = f"_attnprobe_entry_{os.path.basename(path)[:-3]}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} cannot be loaded as a module")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@contextlib.contextmanager
def _nvml_check() -> Iterator[None]:
    """While imports run, `torch.cuda.is_available()` asks NVML and not the CUDA runtime.

    Any import may call it, and the runtime's answer costs a cuInit (torch@2.13:torch/cuda/__init__.py,
    `is_available`). Afterwards the variable is as the user had it, so that trials see the real thing.
    """
    before = os.environ.get(NVML_CHECK)
    os.environ.setdefault(NVML_CHECK, "1")
    try:
        yield
    finally:
        if before is None:
            del os.environ[NVML_CHECK]
