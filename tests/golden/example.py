"""Fixed reports: one as an H200 gives it, with everything that can go wrong, and the odd ones."""

from __future__ import annotations

from dataclasses import replace

from attnprobe import masks
from attnprobe.core.backend_fact import BackendFact, Claim, Fact, Launch
from attnprobe.core.case import Case
from attnprobe.core.environment import Environment, Gpu, LoadedLibrary, Package, Torch
from attnprobe.core.outcome import (
    Crashed,
    Measured,
    Outcome,
    OutOfMemory,
    Raised,
    Refused,
    TimedOut,
)
from attnprobe.core.parity import Failure, Parity, Quantity
from attnprobe.core.report import Report
from attnprobe.core.reported import Quantity as Measure
from attnprobe.core.reported import Reported, recipe
from attnprobe.core.score import Bias, Score
from attnprobe.core.timing import Duration, Timing
from attnprobe.core.trial import Record, Trial

_CUDART = "xFormers wasn't build with CUDA support: libcudart.so.12 is not loaded"
_CUDART_FIX = "pip install nvidia-cuda-runtime-cu12, or an xformers wheel for CUDA 13"
_FA4 = "RuntimeError in forward: too many values to unpack (expected 2)"

ENVIRONMENT = Environment(
    attnprobe="0.1.0",
    python="3.12.3",
    os="Ubuntu 24.04.1 LTS, Linux 6.8.0-49-generic",
    cpu="Intel(R) Xeon(R) Platinum 8480C",
    cores=16,
    memory_bytes=128 * 2**30,
    driver="580.95.05",
    cuda_driver="13.0",
    gpus=(
        Gpu(
            index=0,
            uuid="GPU-5d8a7f1e-6c4b-4b0e-9f2d-1a2b3c4d5e6f",
            name="NVIDIA H200",
            capability=(9, 0),
            memory_bytes=139 * 2**30,
            memory_used_bytes=612 * 2**20,
            sm_clock_mhz=(1980, 1980),
            memory_clock_mhz=(3201, 3201),
            temperature_c=34,
            power_w=(118.4, 700.0),
            throttle=(),
            ecc=True,
            ecc_errors=0,
            mig=False,
            processes=0,
            multiprocessors=132,
        ),
    ),
    packages=(
        Package("torch", "2.11.0+cu130", "cp312-cp312-manylinux_2_28_x86_64"),
        Package("triton", "3.6.0", "cp312-cp312-manylinux_2_28_x86_64"),
        Package("xformers", "0.0.35", "cp39-abi3, built for cu128"),
        Package("flash-attn-4", "4.0.0b36", "py3-none-any"),
        Package("nvidia-cudnn-cu13", "9.19.0.56"),
        Package("memory-efficient-attention-pytorch", "0.1.6", editable=True),
    ),
    libraries=(
        LoadedLibrary("libcudart.so.13", "site-packages/nvidia/cu13/lib/libcudart.so.13"),
        LoadedLibrary("libcudnn.so.9", "site-packages/nvidia/cudnn/lib/libcudnn.so.9"),
        LoadedLibrary(
            "libcudart.so.12", needed_by="xformers", missing=True, others=("libcudart.so.13",)
        ),
    ),
    variables={"CUDA_VISIBLE_DEVICES": "0", "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"},
    torch=Torch(
        version="2.11.0+cu130",
        cuda="13.0",
        cudnn="9.19.0",
        arch_list=("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"),
        debug=("git 70d99e998b4955e0049d13a98d77ae1b14db1f45",),
        flash_impls=("FA3", "FA4"),
        sdpa_priority=("cudnn", "flash", "mem-efficient", "math"),
        flags={"torch.backends.cuda.matmul.allow_tf32": "False", "deterministic": "False"},
        threads=16,
        capabilities="AVX512",
    ),
    gaps=("NVLink topology: NVML says not supported",),
    warnings=(
        "xformers 0.0.35 was built for CUDA 12.8 and torch brings CUDA 13.0: its kernels do not load. "
        + f"Fix: {_CUDART_FIX}.",
    ),
)


def _launches(facts: str, reasons: tuple[str, ...] = ()) -> tuple[Launch, ...]:
    """One letter for each of fp32, bf16 and fp16: r runs, - refused, ! raised, f forward only."""
    seen: dict[str, tuple[tuple[str, Fact], ...]] = {
        "r": (("fwd", "runs"), ("fwd+bwd", "runs")),
        "f": (("fwd", "runs"), ("fwd+bwd", "refused")),
        "-": (("fwd", "refused"), ("fwd+bwd", "refused")),
        "!": (("fwd", "raised"), ("fwd+bwd", "raised")),
    }
    return tuple(
        Launch(dtype, passes, fact, () if fact == "runs" else reasons)
        for dtype, letter in zip(("float32", "bfloat16", "float16"), facts, strict=True)
        for passes, fact in seen[letter]
    )


def _torch_backend(name: str, facts: str, reasons: tuple[str, ...] = ()) -> BackendFact:
    claim = Claim(available=True, says="enabled", source=f"torch.backends.cuda ({name})")
    launches = _launches(facts, reasons)
    return BackendFact(name, "torch", "2.11.0+cu130", claim, "runs", launches, reasons)


def _xformers(name: str, says: str) -> BackendFact:
    return BackendFact(
        name,
        "xformers",
        "0.0.35",
        Claim(True, f"{says}: available", "python -m xformers.info", "0.0.35"),
        "refused",
        _launches("---", (_CUDART,)),
        (_CUDART,),
        _CUDART_FIX,
    )


def _absent(name: str, package: str) -> BackendFact:
    claim = Claim(None, error=f"No module named {package!r}", absent=True, package=package)
    return BackendFact(name, package, "", claim, "absent", fix=f"pip install {package}")


_NO_FP32 = ("flash attention takes float16 and bfloat16 only",)
BACKENDS = (
    BackendFact("eager", "torch", "2.11.0+cu130", Claim(None), "runs", _launches("rrr")),
    _torch_backend("sdpa-default", "rrr"),
    _torch_backend("sdpa-math", "rrr"),
    _torch_backend("sdpa-flash", "-rr", _NO_FP32),
    _torch_backend("sdpa-mem-efficient", "rrr"),
    _torch_backend("sdpa-cudnn", "-rr", ("cuDNN attention takes float16 and bfloat16 only",)),
    BackendFact(
        "sdpa-fa3",
        "flash-attn-3",
        "",
        Claim(True, "FA3 is listed", "torch.nn.attention.list_flash_attention_impls()"),
        "broken",
        (),
        ("ModuleNotFoundError: No module named 'flash_attn_interface'",),
        "build flash-attention/hopper: no wheel is on PyPI",
    ),
    BackendFact(
        "sdpa-fa4",
        "flash-attn-4",
        "4.0.0b36",
        Claim(True, "activated", 'activate_flash_attention_impl("FA4")', "4.0.0b36"),
        "raised",
        _launches("-!!", (_FA4,)),
        (_FA4,),
        "this beta's return value changed after torch 2.11: pin flash-attn-4, or call it directly",
    ),
    _torch_backend("flex", "rrr"),
    _torch_backend("varlen", "-rr", _NO_FP32),
    _torch_backend("njt", "rrr"),
    _torch_backend("mha", "rrr"),
    _xformers("xformers-cutlass", "cutlassF-pt"),
    _xformers("xformers-fa2", "fa2F@2.5.7-pt"),
    _xformers("xformers-triton-splitk", "triton_splitKF"),
    BackendFact(
        "kernel.py:attention", "", "", Claim(None), "wrong", _launches("-rr"), ("fp32: ValueError",)
    ),
    BackendFact(
        "lucidrains",
        "memory-efficient-attention-pytorch",
        "0.1.6",
        Claim(None),
        "runs",
        _launches("rrr"),
    ),
    _absent("flash-attn-2", "flash-attn"),
    _absent("flash-attn-3", "flash-attn-3"),
)

_DTYPES = ("float32", "bfloat16", "float16")
_CAUSAL = masks.parse("causal(align=top-left)")
_SQUARE = Case(B=2, Hq=4, Hkv=4, Mq=128, Mkv=128, K=64, Kv=64, device="cuda")
_CASES = (
    replace(_SQUARE, name="none"),
    replace(_SQUARE, mask=_CAUSAL, name="causal"),
    replace(
        _SQUARE, Mkv=320, mask=masks.parse("causal(align=bottom-right)"), name="causal, Mq < Mkv"
    ),
    replace(
        _SQUARE, Mq=320, mask=masks.parse("causal(align=bottom-right)"), name="causal, Mq > Mkv"
    ),
    replace(
        _SQUARE,
        mask=masks.parse("sliding-window(left=31, right=0, align=top-left)"),
        name="sliding window",
    ),
    replace(_SQUARE, score=Score(bias=Bias(requires_grad=True)), name="bias with gradient"),
    replace(_SQUARE, score=Score(alibi=True), name="ALiBi"),
    replace(_SQUARE, Hkv=1, name="grouped heads"),
    replace(_SQUARE, family="long_negative_lse", name="very negative lse"),
)


def _good(contract: str = "fused_tc", ratio: float = 0.31) -> Parity:
    names = ("out", "lse", "dq", "dk", "dv")
    quantities = {name: Quantity("pass", ratio, "group", 2.1e-3, 3e-2) for name in names}
    return Parity("pass", contract, "fused", quantities)


_WRONG_WINDOW = Parity(
    "fail",
    "fused_tc",
    "",
    {
        "out": Quantity("fail", 41.2, "element", 3.1e-2, 2e-2, (0, 3, 17, 5)),
        "dq": Quantity("fail", 12.7, "group", 1.9e-2, 2e-2, (1, 0, 96, 12)),
        "dk": Quantity("fail", 11.9, "group", 1.8e-2, 2e-2, (0, 2, 64, 3)),
        "dv": Quantity("pass", 0.8, "element", 2.0e-3, 2e-2),
    },
    (
        Failure(
            "accuracy",
            "out differs by up to 41.2 times its bound",
            "the window is one key too wide",
            "out",
            "query rows 32 to 511 of 512 (from a boundary of tiles of 32 to the end)",
            41.2,
            0.43,
        ),
        Failure(
            "accuracy",
            "dq differs by up to 12.7 times its bound",
            "no hypothesis fits (61 tried)",
            "dq",
            "head 3 of 8; query rows 480 to 511 of 512 (the last partial tile of 32)",
            12.7,
        ),
        Failure(
            "leak",
            "changing masked keys changed 384 of 65,536 outputs",
            "the window is one key too wide",
        ),
    ),
)
_NAN = Parity(
    "fail",
    "fused_tc",
    "",
    {"dq": Quantity("fail", float("inf"), "element", float("nan"), 2e-2, (0, 0, 64, 0), 4096)},
    (Failure("nonfinite", "dq holds 4,096 NaN in 32 rows"),),
)


def _outcome(backend: str, case: Case) -> Outcome:
    half = case.dtype != "float32"
    plain = case.score.is_plain
    match backend:
        case "flash-attn-2" | "flash-attn-3":
            return Refused("absent", (f"{backend} is not installed",), f"pip install {backend}")
        case "sdpa-fa3":
            return Refused("broken", ("No module named 'flash_attn_interface'",))
        case "sdpa-fa4" if half:
            trace = (
                'File "site-packages/torch/nn/attention/_fa4.py", line 211\n    out, lse = fwd(...)'
            )
            message = "too many values to unpack (expected 2)"
            return Raised("forward", "ValueError", message, trace)
        case "xformers-cutlass" | "xformers-fa2" | "xformers-triton-splitk":
            return Refused("library", (_CUDART,), _CUDART_FIX)
        case "sdpa-flash" | "sdpa-cudnn" | "varlen" | "sdpa-fa4" if not half:
            return Refused("library", (*_NO_FP32,))
        case "sdpa-flash" | "varlen" if not plain:
            return Refused("library", ("a tensor bias is not supported",))
        case "sdpa-flash" if case.Mq != case.Mkv:
            return Refused("library", ("causal with Mq != Mkv is not supported",), "use varlen")
        case "sdpa-cudnn" if case.family == "long_negative_lse":
            return Measured("no mask", _NAN, kernels=("cudnn_generated_fort_native_sdpa_bprop",))
        case "kernel.py:attention" if case.name == "sliding window" and half:
            return Measured("dense bool 0.02 MiB", _WRONG_WINDOW)
        case "kernel.py:attention" if case.name == "causal, Mq > Mkv":
            return Crashed(
                "backward", "SIGSEGV", None, "Fatal Python error: Segmentation fault\n..."
            )
        case "kernel.py:attention" if not half:
            return Raised("forward", "ValueError", "only half precision")
        case "njt" if case.score.bias:
            return OutOfMemory("backward", "CUDA out of memory. Tried to allocate 96.00 GiB")
        case "flex" if case.name == "bias with gradient" and case.dtype == "float16":
            return TimedOut("compile", 120.0, 'File "site-packages/torch/_inductor/codecache.py"')
        case "mha" if not plain or case.Hkv != case.Hq:
            return Refused("attnprobe", ("nn.MultiheadAttention has no way to say this",))
        case "lucidrains" if case.score.bias:
            return Measured("additive", replace(_good(), verdict="no_power"))
        case "sdpa-default" if case.name == "grouped heads":
            why = "asked for flash or cuDNN, the profiler saw sdpa-math: enable_gqa fell back"
            return Measured(
                "none", _good("unfused"), kernels=("softmax_warp",), unexpected_kernel=why
            )
        case _:
            return Measured("is_causal", _good())


def _record(case: Case, backend: str, outcome: Outcome, question: str = "check") -> Record:
    phases = {
        "inputs": 0.001,
        "reference": 0.004,
        "prepare": 0.0005,
        "forward": 0.002,
        "judge": 0.003,
    }
    return Record(Trial(case, backend, question), outcome, phases, trials_before=3)


def _checks() -> tuple[Record, ...]:
    return tuple(
        _record(case.edit(dtype=dtype), fact.name, _outcome(fact.name, case.edit(dtype=dtype)))
        for case in _CASES
        for dtype in _DTYPES
        for fact in BACKENDS
    )


def _ms(median: float) -> Duration:
    return Duration(median * 1e-3, median * 0.995e-3, median * 1.008e-3, 40)


def _timing(fwd: float, bwd: float, both: float, peak_mib: float, first_s: float = 0.02) -> Timing:
    return Timing(
        _ms(fwd), _ms(bwd), _ms(both), first_s, int(peak_mib * 2**20), 16 * 2**20, 8.6e9,
        "CUDA events, cold L2",
    )  # fmt: skip


_TIMED = Case(2, 8, 8, 2048, 2048, 64, 64, device="cuda", mask=_CAUSAL, name="training")
_COSTS: dict[str, tuple[Timing, Parity, tuple[str, ...]]] = {
    "eager": (_timing(1.62, 2.31, 3.94, 1560), _good("unfused"), ("softmax_warp_forward",)),
    "sdpa-default": (_timing(0.039, 0.129, 0.168, 24), _good(), ("cudnn_sdpa_sm90_fprop",)),
    "sdpa-math": (_timing(1.36, 1.27, 2.63, 1052), _good("unfused"), ("ampere_bf16_gemm",)),
    "sdpa-flash": (_timing(0.062, 0.189, 0.251, 32), _good(), ("flash_fwd_kernel",)),
    "sdpa-mem-efficient": (_timing(0.126, 0.41, 0.54, 28), _good(), ("fmha_cutlassF_bf16",)),
    "sdpa-cudnn": (_timing(0.039, 0.128, 0.1675, 24), _good(), ("cudnn_sdpa_sm90_fprop",)),
    "flex": (_timing(0.080, 0.387, 0.467, 30, 6.5), _good(), ("triton_tem_fused_0",)),
    "kernel.py:attention": (_timing(0.031, 0.101, 0.132, 24), _WRONG_WINDOW, ("my_kernel",)),
}


def _timed() -> tuple[Record, ...]:
    found = [
        _record(_TIMED, name, Measured("is_causal", parity, cost, kernels), "time")
        for name, (cost, parity, kernels) in _COSTS.items()
    ]
    long = _TIMED.edit(Mq=65536, Mkv=65536, name="long", passes="fwd")
    memory = Refused("memory", ("needs about 128 GiB for the scores, 138 GiB are free",))
    fast = Timing(_ms(9.4), None, None, 0.03, 2**27, 2**27, 8.8e12, "CUDA events, cold L2",
                  ("bwd: not asked for",))  # fmt: skip
    return (
        *found,
        _record(_TIMED, "sdpa-fa4", Raised("forward", "ValueError", "too many values"), "time"),
        _record(long, "sdpa-math", memory, "time"),
        _record(long, "sdpa-flash", Measured("is_causal", _good(), fast, ("flash_fwd",)), "time"),
        _record(long, "flex", OutOfMemory("forward", "Tried to allocate 64.00 GiB"), "time"),
    )


H200 = Report(
    command="report",
    workload="gpt2-small-training",
    seed=0,
    environment=ENVIRONMENT,
    backends=BACKENDS,
    records=(*_checks(), *_timed()),
    started="2026-11-21T09:30:00Z",
    seconds=83.4,
)

EMPTY = Report(command="report")

INTERRUPTED = replace(
    H200,
    records=H200.records[:40],
    complete=False,
    notes=(
        "interrupted after 40 trials by Ctrl-C",
        "the last line of the session was torn: dropped",
    ),
)

TORCHLESS = Report(
    command="info",
    environment=replace(
        ENVIRONMENT,
        torch=None,
        torch_error="ImportError: libcudart.so.13: cannot open shared object file",
        warnings=("torch cannot be imported: nothing can be run.",),
    ),
    backends=tuple(
        replace(f, fact="broken", launches=(), reasons=("torch cannot be imported",), fix="")
        for f in BACKENDS[:4]
    ),
    started="2026-11-21T09:30:00Z",
    seconds=1.2,
)

SOUND = replace(
    H200,
    backends=BACKENDS[:3],
    records=tuple(
        r for r in H200.records if r.trial.backend in ("sdpa-math", "sdpa-mem-efficient")
    ),
)

# One trial of every kind, for the views that list trials one by one.
KINDS = replace(
    H200,
    backends=(BACKENDS[0], BACKENDS[7], BACKENDS[12]),
    records=tuple({(type(r.outcome), r.trial.question): r for r in H200.records}.values()),
)

_A100, _V100 = "NVIDIA A100", "Tesla V100 32 GB"
_TUTORIAL, _THREAD = "https://example.org/tutorial.html", "https://example.org/issues/700"


def _reported(
    backend: str,
    what: Measure,
    value: float,
    machine: str,
    url: str,
    over: str = "",
    note: str = "",
) -> Reported:
    shape = recipe(_TIMED.edit(device="auto", seed=7))
    method = "one call timed" if url == _THREAD else ""
    return Reported(_TIMED.name, shape, backend, what, value, machine, url, over, method, note)


REPORTED = replace(
    H200,
    command="profile",
    records=_timed(),
    reported=(
        _reported("sdpa-flash", "fwd_bwd_s", 7.1e-4, _A100, _TUTORIAL),
        _reported("sdpa-flash", "fwd_s", 4.0, _A100, _TUTORIAL, over="eager"),
        _reported("eager", "peak_bytes", 2e9, _A100, _TUTORIAL, note="inputs are part of it"),
        _reported("sdpa-flash", "fwd_flops", 3e14, _A100, _TUTORIAL),
        _reported("kernel.py:attention", "fwd_s", 9e-5, _V100, _THREAD),
        _reported("sdpa-fa4", "fwd_s", 9e-5, _V100, _THREAD),
        _reported("lucidrains", "bwd_s", 5e-3, _V100, _THREAD),
    ),
)

ALL = {
    "reported": REPORTED,
    "kinds": KINDS,
    "h200": H200,
    "empty": EMPTY,
    "interrupted": INTERRUPTED,
    "torchless": TORCHLESS,
    "sound": SOUND,
}
