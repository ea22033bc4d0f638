"""The child's facts: complete, JSON, and taken without touching a global switch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from attnprobe.core.environment import LoadedLibrary, Torch
from attnprobe.core.jsonio import decode
from attnprobe.device import facts


def test_the_answer_is_json_and_rebuilds() -> None:
    """The host gets records back from what crosses the pipe."""
    said = json.loads(json.dumps(facts.facts()))
    found = decode(Torch, said["torch"], {})
    assert found.version == torch.__version__
    assert found.threads == torch.get_num_threads()
    assert all(decode(LoadedLibrary, each, {}).name for each in said["libraries"])
    assert said["gaps"] == []


def test_no_global_switch_is_changed() -> None:
    """Probing twice finds the same flags, and so does the process itself."""
    switched = torch.backends.cuda.mem_efficient_sdp_enabled()
    torch.backends.cuda.enable_mem_efficient_sdp(not switched)
    try:
        first, second = facts.facts()["torch"]["flags"], facts.facts()["torch"]["flags"]
        assert first == second
        assert first["mem_efficient_sdp_enabled"] == str(not switched)
        assert torch.backends.cuda.mem_efficient_sdp_enabled() is not switched
    finally:
        torch.backends.cuda.enable_mem_efficient_sdp(switched)


def test_the_priority_names_every_backend_once() -> None:
    """Names as in `SDPBackend`, best first."""
    priority = facts.facts()["torch"]["sdpa_priority"]
    assert len(set(priority)) == len(priority)
    assert {"flash_attention", "efficient_attention", "math"} <= set(priority)


def test_a_failed_question_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A torch that lacks or breaks one call still answers all others."""

    def broken() -> str:
        raise RuntimeError("no such thing\nsecond line")

    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", broken)
    said = facts.facts()
    assert said["torch"]["capabilities"] == ""
    assert said["torch"]["version"] == torch.__version__
    assert said["gaps"] == [
        "torch.backends.cpu.get_cpu_capability(): RuntimeError: no such thing",
    ]


def test_a_cuda_build_without_a_device_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason that `is_available()` swallows becomes a gap."""
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    gaps = facts.facts()["gaps"]
    assert len(gaps) == 1
    assert gaps[0].startswith("torch.cuda devices: ")


@pytest.mark.parametrize(
    ("number", "version"), [(91900, "9.19.0"), (8902, "8.9.2"), (90100, "9.1.0"), (None, "")]
)
def test_cudnn_numbers_are_versions(
    monkeypatch: pytest.MonkeyPatch, number: int | None, version: str
) -> None:
    """The encoding changed with cuDNN 9."""
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: number)
    assert facts.facts()["torch"]["cudnn"] == version


def test_loaded_libraries_are_those_that_matter(tmp_path: Path) -> None:
    """One line per library however often it is mapped, without private paths."""
    maps = tmp_path / "maps"
    site = "/home/someone else/venv/lib/python3.12/site-packages"
    mapped = [
        f"{site}/nvidia/cu13/lib/libcudart.so.13",
        f"{site}/nvidia/cudnn/lib/libcudnn.so.9",
        f"{site}/nvidia/cudnn/lib/libcudnn_engines_precompiled.so.9",
        f"{site}/torch/lib/libtorch_cuda.so",
        f"{site}/torch/lib/libgomp-24e2ab19.so.1.0.0",
        f"{site}/xformers/_C.so",
        f"{site}/flash_attn_2_cuda.cpython-312-x86_64-linux-gnu.so",
        f"{site}/numpy/_core/_multiarray_umath.cpython-312-x86_64-linux-gnu.so",
        "/usr/lib/x86_64-linux-gnu/libc.so.6",
        "/usr/lib/x86_64-linux-gnu/libcuda.so.580.95.05",
    ]
    lines = [f"7f00-7f01 r-xp 00000000 00:00 1   {path}\n" for path in mapped for _ in range(2)]
    maps.write_text("".join(lines) + "7ffd-7ffe rw-p 00000000 00:00 0   [stack]\n")
    found = facts.loaded_libraries(maps)
    assert [library.name for library in found] == [
        "_C.so",
        "flash_attn_2_cuda.cpython-312-x86_64-linux-gnu.so",
        "libcuda.so.580.95.05",
        "libcudart.so.13",
        "libcudnn.so.9",
        "libcudnn_engines_precompiled.so.9",
        "libgomp-24e2ab19.so.1.0.0",
        "libtorch_cuda.so",
    ]
    assert not any("someone" in library.path for library in found)


@pytest.mark.gpu
def test_a_gpu_is_described() -> None:
    """What NVML does not know: the number of SMs; and the priority is settled by a first call."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    said = facts.facts()
    assert said["gpus"][0]["multiprocessors"] > 0
    assert tuple(said["gpus"][0]["capability"]) == torch.cuda.get_device_capability(0)
    assert 0 < said["gpus"][0]["free_bytes"] <= said["gpus"][0]["memory_bytes"]
    assert said["torch"]["arch_list"]
