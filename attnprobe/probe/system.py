"""Operating system, CPU, memory and the environment variables that change attention."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path

from attnprobe.core.paths import public

VARIABLES = re.compile(
    r"CUDA_(VISIBLE_DEVICES|LAUNCH_BLOCKING|DEVICE_ORDER|MODULE_LOADING|CACHE_DISABLE)"
    r"|CUDA_(DEVICE_MAX_CONNECTIONS|FORCE_PTX_JIT|DISABLE_PTX_JIT)|NVIDIA_TF32_OVERRIDE"
    r"|(HIP|ROCR)_VISIBLE_DEVICES|PYTORCH_[A-Z0-9_]*|TORCH_[A-Z0-9_]*|TORCHINDUCTOR_[A-Z0-9_]*"
    r"|TORCHDYNAMO_[A-Z0-9_]*|XFORMERS_[A-Z0-9_]*|MSLK_[A-Z0-9_]*|FLASH_ATTENTION_[A-Z0-9_]*"
    r"|FLASHINFER_[A-Z0-9_]*|TRITON_[A-Z0-9_]*|NVTE_[A-Z0-9_]*|CUBLAS_WORKSPACE_CONFIG|CUDNN_[A-Z0-9_]*"
    r"|(OMP|MKL|OPENBLAS)_NUM_THREADS|KMP_AFFINITY|LD_LIBRARY_PATH|LD_PRELOAD|MALLOC_CONF"
)
"""The allow-list: what changes which kernel runs, what it costs, or how libraries are found."""

_SECRET = re.compile(r"TOKEN|KEY|SECRET|PASSW|CREDENTIAL|_URL$|_ADDR$|_HOST", re.IGNORECASE)


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables on the allow-list, with paths reduced to what may be shown."""
    return {
        name: re.sub(r"(?<![^:,;=\s])/[^:,;=\s]*", lambda match: public(match[0]), value)
        for name, value in sorted(environ.items())
        if VARIABLES.fullmatch(name) and not _SECRET.search(name)
    }


def operating_system(root: Path = Path("/")) -> str:
    """Distribution, kernel and machine; says so in a container or under WSL."""
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = platform.system()
    kernel = re.match(r"[\d.]*", platform.release())
    parts = [name, f"{platform.system()} {kernel[0] if kernel else ''} {platform.machine()}"]
    if "microsoft" in platform.release().lower():
        parts.append("WSL")
    if (root / ".dockerenv").exists() or (root / "run/.containerenv").exists():
        parts.append("container")
    return ", ".join(parts)


def cpu(root: Path = Path("/")) -> str:
    """Model name of the CPU."""
    try:
        listed = (root / "proc/cpuinfo").read_text(errors="replace")
    except OSError:
        listed = ""
    found = re.search(r"^(?:model name|Hardware|CPU part)\s*:\s*(.+)$", listed, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def cores(root: Path = Path("/")) -> int:
    """Logical cores this process may use: its affinity, and the CPU quota of its control group."""
    usable = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    quota, period = _quota(root)
    return max(1, min(usable, quota // period)) if quota > 0 and period > 0 else usable


def memory_bytes(root: Path = Path("/")) -> int | None:
    """Physical memory, or the limit of the control group where that is less; None if unknown."""
    sizes = [
        int(text)
        for name in ("memory.max", "memory/memory.limit_in_bytes")
        if (text := _read(root / "sys/fs/cgroup" / name)).isdigit()
    ]
    found = re.search(r"^MemTotal:\s*(\d+) kB", _read(root / "proc/meminfo"), re.MULTILINE)
    if found:
        sizes.append(int(found[1]) * 1024)
    return min(sizes, default=None)


def available_bytes(root: Path = Path("/")) -> int | None:
    """Memory that can still be had, within the limit of the control group; None if unknown."""
    found = re.search(r"^MemAvailable:\s*(\d+) kB", _read(root / "proc/meminfo"), re.MULTILINE)
    sizes = [int(found[1]) * 1024] if found else []
    group = root / "sys/fs/cgroup"
    most, used = _read(group / "memory.max"), _read(group / "memory.current")
    if most.isdigit() and used.isdigit():
        sizes.append(max(0, int(most) - int(used)))
    return min(sizes, default=None)


def _quota(root: Path) -> tuple[int, int]:
    """Microseconds of CPU time per period, (0, 0) when unlimited (Linux cgroup-v2.rst, cpu.max)."""
    group = root / "sys/fs/cgroup"
    second = _read(group / "cpu.max").split()
    first = [_read(group / f"cpu/cpu.cfs_{name}_us") for name in ("quota", "period")]
    for quota, period in (pair for pair in (second, first) if len(pair) == 2):
        if quota.isdigit() and period.isdigit():
            return int(quota), int(period)
    return 0, 0


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
