"""Each rule speaks where its fault is and is silent where it is not."""

from __future__ import annotations

import importlib

import pytest

from attnprobe import remedies
from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment, LoadedLibrary, Package
from attnprobe.remedies.gpu_arch import runs
from tests.unit.fake_machine import (
    MACHINE,
    backend,
    machine,
    with_gpu,
    with_packages,
    with_torch,
)

CUDART = LoadedLibrary(
    "libcudart.so.12", needed_by="xformers: _C.so", missing=True, others=("libcudart.so.13",)
)
REFUSAL = "cutlassF-pt: xFormers wasn't build with CUDA support"

FAULTS: list[tuple[str, Environment, tuple[BackendFact, ...], list[str]]] = [
    (
        "missing_library",
        machine(libraries=(CUDART,)),
        (),
        [
            "xformers (_C.so) needs libcudart.so.12 (only libcudart.so.13 is present)",
            "pip install nvidia-cuda-runtime-cu12",
            "ctypes.CDLL",
        ],
    ),
    (
        "missing_library",
        machine(
            libraries=(
                LoadedLibrary(
                    "libcudart.so.12",
                    needed_by="xformers: _C.so",
                    missing=True,
                    elsewhere="nvidia/cuda_runtime/lib/libcudart.so.12",
                ),
            )
        ),
        (),
        ["import nvidia.cuda_runtime as p; print(p.__path__[0])')/lib:$LD_LIBRARY_PATH"],
    ),
    (
        "missing_library",
        machine(
            libraries=(
                CUDART,
                LoadedLibrary("libtorch_cuda.so", needed_by="xformers: _C.so", missing=True),
            )
        ),
        (),
        ["built for a CUDA build of torch"],
    ),
    (
        "claims_without_facts",
        MACHINE,
        (
            backend("xformers-cutlass", "refused", "xformers", REFUSAL),
            backend("xformers-fa2", "refused", "xformers", REFUSAL),
        ),
        ["xformers calls xformers-cutlass, xformers-fa2 available", REFUSAL],
    ),
    (
        "import_broken_by_neighbour",
        with_packages(Package("flash-attn-4", "4.0.0b36", provides=("flash_attn",))),
        (),
        ["flash-attn-4 4.0.0b36", "xformers 0.0.35 cannot be imported"],
    ),
    (
        "shared_import_name",
        with_packages(
            Package("flash-attn", "2.8.3", provides=("flash_attn",)),
            Package("flash-attn-4", "4.0.0b36", provides=("flash_attn",)),
        ),
        (),
        ["flash-attn and flash-attn-4 both install `flash_attn`"],
    ),
    (
        "duplicate_package",
        with_packages(Package("torch", "2.6.0")),
        (),
        ["torch 2.11.0+cu130 hides 2.6.0"],
    ),
    (
        "flash_impl_fails",
        MACHINE,
        (backend("sdpa-fa4", "raised", reason="too many values to unpack (expected 2)"),),
        ["sdpa-fa4: too many values to unpack", "restore_flash_attention_impl"],
    ),
    (
        "gpu_arch",
        with_gpu(name="Tesla V100", capability=(7, 0)),
        (),
        ["Tesla V100 has compute capability 7.0", "no kernel image"],
    ),
    ("gpu_arch", with_gpu(capability=(13, 0)), (), ["only PTX"]),
    (
        "driver_too_old",
        machine(driver="550.54", cuda_driver="12.4"),
        (),
        ["built for CUDA 13.0 and driver 550.54 supports CUDA 12.4"],
    ),
    (
        "cuda_majors",
        with_packages(Package("nvidia-cudnn-cu12", "9.10.2")),
        (),
        ["nvidia-cudnn for cu12 and cu13"],
    ),
    (
        "gpu_throttled",
        with_gpu(throttle=("software thermal slowdown",)),
        (),
        ["GPU 0 NVIDIA H200: software thermal slowdown"],
    ),
    ("gpu_shared", with_gpu(processes=2), (), ["2 processes, 512 MiB in use"]),
    ("gpu_shared", with_gpu(memory_used_bytes=2**36), (), ["processes not visible, 64.0 GiB"]),
    ("gpu_mig", with_gpu(mig=True), (), ["MIG is on (GPU 0 NVIDIA H200)"]),
    ("gpu_ecc", with_gpu(ecc_errors=3), (), ["NVIDIA H200: 3"]),
    ("cpu_torch", with_torch(cuda="", version="2.11.0+cpu"), (), ["2.11.0+cpu is a CPU build"]),
    (
        "gpu_invisible",
        with_gpu(multiprocessors=None),
        (),
        ["torch sees no GPU although the driver does"],
    ),
    (
        "gpu_invisible",
        machine(gpus=with_gpu(multiprocessors=None).gpus, variables={"CUDA_VISIBLE_DEVICES": "7"}),
        (),
        ["CUDA_VISIBLE_DEVICES is '7': unset it"],
    ),
    (
        "variables",
        machine(variables={"CUDA_LAUNCH_BLOCKING": "1", "TORCH_CUDNN_SDPA_DEPRIORITIZED": "x"}),
        (),
        ["CUDA_LAUNCH_BLOCKING='1' (every launch waits", "does not prefer cuDNN"],
    ),
    (
        "xformers_torch",
        machine(
            packages=(
                Package("torch", "2.11.0"),
                Package("xformers", "0.0.30", "built for torch 2.7.0+cu126"),
            )
        ),
        (),
        ["built for torch 2.7.0+cu126, and torch 2.11.0+cu130 is installed"],
    ),
    ("xformers_torch", with_torch(version="2.9.1"), (), ["or a newer torch"]),
    (
        "xformers_mslk",
        machine(packages=(Package("xformers", "0.0.36"), Package("mslk", "0.0.0"))),
        (),
        ["only the empty placeholder mslk 0.0.0 is installed", "pip install mslk-cuda"],
    ),
    (
        "xformers_mslk",
        machine(packages=(Package("xformers", "0.0.36"),)),
        (),
        ["MSLK, and it is not installed"],
    ),
    (
        "xformers_flash_version",
        with_packages(Package("flash-attn", "2.6.3")),
        (),
        ["accepts flash-attn 2.7.1 to 2.8.4, and 2.6.3"],
    ),
    ("xformers_capability", with_gpu(capability=(7, 0)), (), ["has no kernels for"]),
    ("xformers_capability", with_gpu(capability=(10, 0)), (), ["no float32 and no tensor bias"]),
    ("torch_without_flash", with_torch(flags={"flash_compiled": "False"}), (), ["CUDNN_ATTENTION"]),
    ("torch_missing", machine(torch=None, packages=()), (), ["--python PATH"]),
    (
        "torch_missing",
        machine(
            torch=None, torch_error="ImportError: libcudart.so.13: cannot open shared object file"
        ),
        (),
        ["torch 2.11.0+cu130 is installed and cannot be imported", "wants another CUDA runtime"],
    ),
    (
        "torch_missing",
        machine(torch=None, python="", torch_error="No such file"),
        (),
        ["could not be asked: No such file"],
    ),
    ("cpu_threads", with_torch(threads=64), (), ["64 threads on 16 usable cores"]),
]


@pytest.mark.parametrize(("rule", "environment", "facts", "words"), FAULTS)
def test_a_fault_is_named_with_its_fix(
    rule: str, environment: Environment, facts: tuple[BackendFact, ...], words: list[str]
) -> None:
    """The rule names what was found and what to do, and the warnings carry it."""
    said = importlib.import_module(f"attnprobe.remedies.{rule}").matches(environment, facts)
    assert said in remedies.warnings(environment, facts)
    assert all(word in said for word in words)
    assert "Fix: " in said


def test_every_rule_is_tried() -> None:
    """A new rule file needs a fault here."""
    assert {rule for rule, *_ in FAULTS} == set(remedies.rules())


SOUND: list[tuple[str, Environment, tuple[BackendFact, ...]]] = [
    ("nothing wrong", MACHINE, (backend("xformers-fa2", "runs", "xformers"),)),
    ("nothing launched", MACHINE, ()),
    (
        "one operator refuses, another runs",
        MACHINE,
        (
            backend("xformers-cutlass", "runs", "xformers"),
            backend("xformers-fa3", "refused", "xformers", "not built"),
        ),
    ),
    ("no GPU, no driver", machine(gpus=(), driver="", cuda_driver=""), ()),
    ("a minor version older", machine(cuda_driver="13.0", torch=with_torch(cuda="13.2").torch), ()),
    (
        "CUDA 12 runtime for xformers",
        with_packages(Package("nvidia-cuda-runtime-cu12", "12.8")),
        (),
    ),
    (
        "flash-attn 2 beside flash-attn-4, apart",
        with_packages(Package("flash-attn", "2.8.3"), Package("flash-attn-4", "4.0.0b36")),
        (),
    ),
    ("as many threads as cores", with_torch(threads=16), ()),
    (
        "torch lists FA4 and it is not installed",
        MACHINE,
        (backend("sdpa-fa4", "absent", "flash-attn-4", "No module named 'flash_attn'"),),
    ),
    ("a flash-attn in range", with_packages(Package("flash-attn", "2.8.3")), ()),
    (
        "MSLK is there",
        machine(packages=(Package("xformers", "0.0.36"), Package("mslk-cuda", "1"))),
        (),
    ),
    ("the same package listed twice", with_packages(Package("torch", "2.11.0+cu130")), ()),
    ("an H100 slice of the arch list", with_gpu(capability=(8, 9)), ()),
]


@pytest.mark.parametrize(("case", "environment", "facts"), SOUND)
def test_a_sound_machine_is_left_alone(
    case: str, environment: Environment, facts: tuple[BackendFact, ...]
) -> None:
    """No rule speaks where nothing is wrong."""
    assert remedies.warnings(environment, facts) == ()


def test_a_checked_version_may_be_ignored() -> None:
    """With the variable set, xFormers imports: the variable itself is what is told."""
    packages = with_packages(Package("flash-attn", "2.6.3")).packages
    ignored = {"XFORMERS_IGNORE_FLASH_VERSION_CHECK": "1"}
    (said,) = remedies.warnings(machine(packages=packages, variables=ignored))
    assert "an untested flash-attn is accepted" in said


@pytest.mark.parametrize(
    ("capability", "arch_list", "expected"),
    [
        ((8, 6), ("sm_80",), "native"),
        ((8, 0), ("sm_86",), "no"),
        ((9, 0), ("sm_90a",), "native"),
        ((9, 1), ("sm_90a",), "no"),
        ((12, 1), ("sm_90", "compute_120"), "ptx"),
        ((10, 3), ("sm_100f",), "native"),
        ((12, 0), ("sm_100", "compute_90a"), "no"),
    ],
)
def test_binary_compatibility_follows_cuda(
    capability: tuple[int, int], arch_list: tuple[str, ...], expected: str
) -> None:
    """Same major and not newer is native, older PTX is compiled, `a` code fits one capability."""
    assert runs(capability, arch_list) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("xFormers wasn't build with CUDA support", "CUDA version of this torch"),
        ("No module named 'flash_attn.flash_attn_interface'", "2.7.1 to 2.8.4"),
        ("No module named 'flash_attn_interface'", "FlashAttention-3"),
        ("ValueError: too many values to unpack (expected 2)", "return value"),
        ("CUDA error: no kernel image is available for execution", "compute capability"),
        ("flash_attn_2_cuda.so: undefined symbol: _ZN3c105Error", "C++ ABI"),
        ("ImportError: libcudart.so.12: cannot open shared object file", "CUDA runtime"),
        ("all is well", ""),
    ],
)
def test_known_words_have_a_fix(text: str, words: str) -> None:
    """The more telling phrase wins over the more general one."""
    fix = remedies.fix_for(text)
    assert words in fix if words else fix == ""
