"""The operating system is read from files that a test can write."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from attnprobe.core import paths
from attnprobe.probe import system


def written(root: Path, **files: str) -> Path:
    """A root folder with these files; `__` stands for `/`."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_quota_limits_the_cores(tmp_path: Path) -> None:
    """A container with one CPU's time has one core, however many the machine has."""
    root = written(tmp_path)
    cgroup = root / "sys/fs/cgroup"
    cgroup.mkdir(parents=True)
    assert system.cores(root) >= 1
    (cgroup / "cpu.max").write_text("100000 100000\n")
    assert system.cores(root) == 1
    (cgroup / "cpu.max").write_text("50000 100000\n")
    assert system.cores(root) == 1, "half a core is still a core"


def test_no_quota_is_no_limit(tmp_path: Path) -> None:
    """`max` of cgroup v2 and `-1` of cgroup v1 mean unlimited."""
    (tmp_path / "sys/fs/cgroup/cpu").mkdir(parents=True)
    unlimited = system.cores(tmp_path)
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("max 100000\n")
    (tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_period_us").write_text("100000\n")
    assert system.cores(tmp_path) == unlimited


def test_memory_is_the_smaller_of_machine_and_container(tmp_path: Path) -> None:
    """Cgroup v1 writes 2**63 where there is no limit."""
    root = written(tmp_path, proc__meminfo="MemTotal:       2048 kB\nMemFree: 1 kB\n")
    assert system.memory_bytes(root) == 2048 * 1024
    limit = root / "sys/fs/cgroup"
    (limit / "memory").mkdir(parents=True)
    (limit / "memory/memory.limit_in_bytes").write_text("9223372036854771712")
    assert system.memory_bytes(root) == 2048 * 1024
    (limit / "memory.max").write_text("1000000\n")
    assert system.memory_bytes(root) == 1_000_000


def test_memory_may_be_unknown(tmp_path: Path) -> None:
    """Unknown is not zero."""
    assert system.memory_bytes(tmp_path) is None


def test_cpu_and_container_are_recognised(tmp_path: Path) -> None:
    """From /proc/cpuinfo and the files that Docker and Podman leave."""
    root = written(tmp_path, proc__cpuinfo="processor : 0\nmodel name : EPYC 9654\n")
    assert system.cpu(root) == "EPYC 9654"
    assert "container" not in system.operating_system(root)
    (root / ".dockerenv").touch()
    assert system.operating_system(root).endswith("container")


@pytest.mark.parametrize(
    "name",
    [
        "CUDA_VISIBLE_DEVICES",
        "PYTORCH_CUDA_ALLOC_CONF",
        "PYTORCH_ALLOC_CONF",
        "TORCH_CUDNN_SDPA_DEPRIORITIZED",
        "NVIDIA_TF32_OVERRIDE",
        "XFORMERS_FORCE_DISABLE_TRITON",
        "FLASH_ATTENTION_TRITON_AMD_ENABLE",
        "TRITON_INTERPRET",
        "CUBLAS_WORKSPACE_CONFIG",
        "OMP_NUM_THREADS",
        "TORCHINDUCTOR_MAX_AUTOTUNE",
    ],
)
def test_what_changes_kernels_is_shown(name: str) -> None:
    """The allow-list holds every family of variables that matters."""
    assert system.variables({name: "1"}) == {name: "1"}


@pytest.mark.parametrize(
    "name",
    ["HOME", "USER", "PATH", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "TORCH_HUB_TOKEN", "MYTORCH_X"],
)
def test_nothing_else_is_shown(name: str) -> None:
    """Only the allow-list, and nothing in it that names a secret."""
    assert system.variables({name: "1"}) == {}


def test_values_lose_private_paths() -> None:
    """Each path of a list on its own; what is no path stays."""
    found = system.variables(
        {
            "LD_LIBRARY_PATH": "/usr/local/cuda/lib64:/home/someone/lib",
            "TORCH_HOME": "/data/someone/cache",
            "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True,max_split_size_mb:64",
        }
    )
    assert found["LD_LIBRARY_PATH"] == "/usr/local/cuda/lib64:<path>"
    assert found["TORCH_HOME"] == "<path>"
    assert found["PYTORCH_CUDA_ALLOC_CONF"] == "expandable_segments:True,max_split_size_mb:64"


def test_public_paths_are_as_documented() -> None:
    """The examples of core/paths.py."""
    assert doctest.testmod(paths).failed == 0
