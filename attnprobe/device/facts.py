"""What only a live torch can say. Runs in the child and changes no global flag."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from attnprobe.core.environment import LoadedLibrary, Torch
from attnprobe.core.jsonio import encode
from attnprobe.core.paths import public

_MATTERS = re.compile(
    r"lib(cu\w+|nv\w+|nccl|amdhip64|MIOpen|rccl"
    r"|mkl_\w+|openblas\w*|gomp|iomp5|omp|torch(_cpu|_cuda|_hip)?)(-\w+)?\.so[\d.]*"
    r"|_C\w*\.(abi3\.|cpython\S*)?so|\w*(flash|mslk|sage|fmha)\w*\.\S*so"
)
_DEBUG = re.compile(
    r"GCC|Clang|MSVC|OpenMP|MKL|CUDA Runtime|CuDNN|NVCC arch|Magma|LAPACK|CPU capab"
)


def facts() -> dict[str, Any]:
    """Everything a live torch says.

    Returns:
        `torch`: an encoded `Torch`; `libraries`: encoded `LoadedLibrary`, the shared objects mapped
        into this process that matter; `gpus`: per visible device its index, uuid, name, capability,
        multiprocessors, memory_bytes and, for the current one, free_bytes; `gaps`: what could not be
        asked, and why.
    """
    gaps: list[str] = []

    def ask(what: str, question: Callable[[], Any], otherwise: Any) -> Any:
        """One question; `otherwise` and a gap when it raises."""
        try:
            return question()
        except Exception as error:  # noqa: BLE001 - a probe's boundary: a failed question is a gap
            gaps.append(f"{what}: {type(error).__name__}: {_first_line(error)}")
            return otherwise

    gpus = ask("torch.cuda devices", _gpus, [])
    return {
        "torch": encode(_torch(ask, bool(gpus))),
        "gpus": gpus,
        "libraries": encode(ask("/proc/self/maps", loaded_libraries, ())),
        "gaps": gaps,
    }


def _torch(ask: Callable[[str, Callable[[], Any], Any], Any], on_gpu: bool) -> Torch:
    return Torch(
        version=str(torch.__version__),
        cuda=torch.version.cuda or "",
        cudnn=ask("torch.backends.cudnn.version()", _cudnn, ""),
        hip=torch.version.hip or "",
        arch_list=ask("torch._C._cuda_getArchFlags()", _arch_list, ()),
        debug=ask("torch.__config__.show()", _debug, ()),
        flash_impls=ask("torch.nn.attention.list_flash_attention_impls()", _flash_impls, ()),
        sdpa_priority=ask("torch._C._get_sdp_priority_order()", lambda: _sdpa_priority(on_gpu), ()),
        flags=ask("global flags", _flags, {}),
        threads=torch.get_num_threads(),
        capabilities=ask(
            "torch.backends.cpu.get_cpu_capability()", torch.backends.cpu.get_cpu_capability, ""
        ),
    )


def _gpus() -> list[dict[str, Any]]:
    """Visible devices. On a CUDA build without a usable device this raises what CUDA says."""
    if not (torch.version.cuda or torch.version.hip):
        return []
    current = (
        torch.cuda.current_device()
    )  # unlike is_available(), raises why not ("driver too old")
    found = []
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        # asking any other device would make a context there, and take some of its memory
        free = torch.cuda.mem_get_info(index)[0] if index == current else None
        found.append(
            {
                "index": index,
                "uuid": str(getattr(device, "uuid", "")),
                "name": device.name,
                "capability": [device.major, device.minor],
                "multiprocessors": device.multi_processor_count,
                "memory_bytes": device.total_memory,
                "free_bytes": free,
            }
        )
    return found


def _cudnn() -> str:
    """9.19.0 for 91900; before cuDNN 9 the number was 8902 for 8.9.2 (cudnn_version.h)."""
    number = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]  # torch has no stub for it
    if not number:
        return ""
    major, rest = divmod(number, 10000) if number >= 90000 else divmod(number, 1000)
    return f"{major}.{rest // 100}.{rest % 100}"


def _arch_list() -> tuple[str, ...]:
    """Unlike `torch.cuda.get_arch_list()`, also told where no GPU is visible."""
    flags = getattr(torch._C, "_cuda_getArchFlags", lambda: "")()
    return tuple((flags or "").split())


def _debug() -> tuple[str, ...]:
    shown = torch.__config__.show().replace("  - ", "").splitlines()
    return (
        f"git {torch.version.git_version or 'unknown'}",
        *(line.strip() for line in shown if _DEBUG.search(line) and "Build settings" not in line),
    )


def _flash_impls() -> tuple[str, ...]:
    """Present since torch 2.10; it names what torch could activate, installed or not."""
    listed = getattr(torch.nn.attention, "list_flash_attention_impls", tuple)
    return tuple(listed())


def _sdpa_priority(on_gpu: bool) -> tuple[str, ...]:
    """The order in which SDPA tries its backends, best first.

    CUDA settles it at the first SDPA call (aten/src/ATen/native/transformers/cuda/sdp_utils.cpp), so one
    tiny call comes first.
    """
    if on_gpu:
        q = torch.zeros(1, 1, 8, 64, dtype=torch.float16, device="cuda")
        torch.nn.functional.scaled_dot_product_attention(q, q, q)
        torch.cuda.synchronize()
    backends = torch.nn.attention.SDPBackend.__members__
    names = {backend.value: name.lower() for name, backend in backends.items()}
    return tuple(names[number] for number in torch._C._get_sdp_priority_order())


def _flags() -> dict[str, str]:
    """Global switches that change which kernel runs or how it rounds, as this process found them."""
    cuda, found = torch.backends.cuda, {}
    questions: dict[str, Callable[[], Any]] = {
        "float32_matmul_precision": torch.get_float32_matmul_precision,
        "matmul.allow_tf32": lambda: cuda.matmul.allow_tf32,
        "cudnn.allow_tf32": lambda: torch.backends.cudnn.allow_tf32,
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled,
        "flash_sdp_enabled": cuda.flash_sdp_enabled,
        "mem_efficient_sdp_enabled": cuda.mem_efficient_sdp_enabled,
        "math_sdp_enabled": cuda.math_sdp_enabled,
        "cudnn_sdp_enabled": cuda.cudnn_sdp_enabled,
        "flash_compiled": cuda.is_flash_attention_available,
        "current_flash_impl": lambda: torch.nn.attention.current_flash_attention_impl(),
    }
    for name, question in questions.items():
        try:
            found[name] = str(question())
        except (
            AttributeError,
            RuntimeError,
        ) as error:  # another release, or mixed precision settings
            found[name] = f"unknown: {_first_line(error)}"
    return found


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


def loaded_libraries(maps: Path = Path("/proc/self/maps")) -> tuple[LoadedLibrary, ...]:
    """Shared objects mapped into this process that decide what attention does."""
    paths = dict.fromkeys(re.findall(r"^(?:\S+ +){5}(/.*)$", maps.read_text(), re.MULTILINE))
    named = sorted((path.rpartition("/")[2], path) for path in paths)
    return tuple(
        LoadedLibrary(name, public(path)) for name, path in named if _MATTERS.fullmatch(name)
    )
