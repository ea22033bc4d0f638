"""The environment is complete whatever is missing: torch, NVML, a GPU."""

from __future__ import annotations

from typing import Any

import pytest

from attnprobe.core.environment import Gpu, Torch
from attnprobe.core.jsonio import encode
from attnprobe.core.outcome import Crashed, Raised
from attnprobe.info import environment
from attnprobe.probe import nvml
from tests.unit.fake_child import FakeChild
from tests.unit.fake_machine import backend

H200 = Gpu(0, "GPU-aa11", "NVIDIA H200", (9, 0), 150 * 2**30, 2**20)


def answer(**changes: Any) -> dict[str, Any]:
    """What the child says on a machine with one H200."""
    gpu = {
        "index": 0,
        "uuid": "AA11",
        "name": "NVIDIA H200",
        "capability": [9, 0],
        "multiprocessors": 132,
        "memory_bytes": 150 * 2**30,
        "free_bytes": 149 * 2**30,
    }
    said = {
        "torch": encode(Torch("2.11.0+cu130", cuda="13.0")),
        "gpus": [gpu],
        "libraries": [{"name": "libcudart.so.13", "path": "site-packages/nvidia/x"}],
        "gaps": [],
    }
    return said | changes


@pytest.fixture
def one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """NVML shows one H200."""
    monkeypatch.setattr(nvml, "read", lambda: nvml.Seen("580.1", "13.0", (H200,)))


@pytest.mark.usefixtures("one_gpu")
def test_torch_and_nvml_speak_of_the_same_gpu() -> None:
    """`GPU-aa11` of NVML and `AA11` of torch are joined, not listed twice."""
    found = environment.collect(FakeChild({"facts": answer()}))
    assert [gpu.multiprocessors for gpu in found.gpus] == [132]
    assert found.gpus[0].memory_used_bytes == 2**20
    assert environment.device(found) == "cuda"
    assert found.usable


@pytest.mark.usefixtures("one_gpu")
def test_a_gpu_that_torch_does_not_see_stays_listed_and_is_not_used() -> None:
    """CUDA_VISIBLE_DEVICES hides it from torch, not from NVML."""
    found = environment.collect(FakeChild({"facts": answer(gpus=[])}))
    assert found.gpus == (H200,)
    assert environment.device(found) == "cpu"


def test_without_nvml_gpus_come_from_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing NVML is a gap, and torch's own view fills in."""
    monkeypatch.setattr(nvml, "read", lambda: nvml.Seen(gaps=("NVML: not found",)))
    found = environment.collect(FakeChild({"facts": answer()}))
    assert found.gpus[0].name == "NVIDIA H200"
    assert found.gpus[0].memory_used_bytes == 2**30
    assert "NVML: not found" in found.gaps


@pytest.mark.usefixtures("one_gpu")
@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (
            Raised("facts", "ModuleNotFoundError", "No module named 'torch'"),
            "No module named 'torch'",
        ),
        (Crashed("import", signal="SIGABRT"), "SIGABRT"),
    ],
)
def test_without_torch_the_rest_is_still_told(outcome: Raised | Crashed, words: str) -> None:
    """Torch absent, or an import that kills the child: everything else is there, and why not."""
    found = environment.collect(FakeChild({"facts": outcome}))
    assert not found.usable
    assert words in found.torch_error
    assert any(words in gap for gap in found.gaps)
    assert found.driver == "580.1"
    assert found.gpus == (H200,)
    assert found.python
    assert found.cores >= 1


def test_an_interpreter_that_does_not_start_is_a_gap() -> None:
    """`--python` names something that is no Python: the host's facts remain."""
    found = environment.collect(FakeChild({"facts": answer()}), python="/does/not/exist")
    assert found.packages == ()
    assert any("/does/not/exist" in gap for gap in found.gaps)


@pytest.mark.usefixtures("one_gpu")
def test_what_is_recognised_is_in_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that needs no launch speaks at once; one that needs facts when they are known."""
    monkeypatch.setenv("CUDA_LAUNCH_BLOCKING", "1")
    found = environment.collect(FakeChild({"facts": answer()}))
    assert any("CUDA_LAUNCH_BLOCKING" in text for text in found.warnings)
    fact = backend("sdpa-fa4", "raised", reason="too many values to unpack")
    more = environment.warned(found, [fact])
    assert set(found.warnings) < set(more.warnings)


def test_what_is_loaded_is_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that the file system hides and the child has mapped (LD_PRELOAD) is there."""
    lacking = environment.LoadedLibrary("libcudart.so.13", needed_by="x", missing=True)
    monkeypatch.setattr(environment.libraries, "missing", lambda *_: ((lacking,), ()))
    found = environment.collect(FakeChild({"facts": answer()}))
    assert [library.missing for library in found.libraries] == [False]
