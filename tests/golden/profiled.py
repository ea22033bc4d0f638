"""Fixed profiles: a sweep with everything that can become of a backend, one case, and the longest."""

from __future__ import annotations

from dataclasses import replace

from attnprobe.core.case import Case
from attnprobe.core.conditions import Conditions, GpuConditions, Neighbour, Spread
from attnprobe.core.outcome import Measured, Outcome, OutOfMemory, Raised, Refused
from attnprobe.core.parity import Failure, Parity, Quantity
from attnprobe.core.report import Report
from attnprobe.core.timing import Duration, Rates, Ratio, Timing, Versus
from attnprobe.core.trial import Record, Trial
from tests.golden.example import ENVIRONMENT

_CASE = Case(4, 16, 16, 512, 512, 64, 64, device="cuda", name="self")
_DECODE = Case(8, 32, 8, 1, 8192, 128, 128, device="cuda", name="decode", passes="fwd")
_LENGTHS = (512, 1024, 2048, 4096, 8192, 16384)
_RIGHT = Parity("pass", "fused_tc", "fused", {"out": Quantity("pass", 0.31, "group", 2e-3, 3e-2)})
_WRONG = Parity(
    "fail",
    "fused_tc",
    failures=(Failure("accuracy", "out is off", "the window is one key too wide", "out"),),
)
_RATES = Rates(7.4e14, 4.1e12, "bfloat16 matmul 8192^3 740 TFLOP/s, copy of 1.00 GiB 3.82 TiB/s")
_SEEN = Conditions(
    40,
    0.8,
    GpuConditions(
        Spread(1965, 1980, 1980),
        1980,
        0.0,
        Spread(3201, 3201, 3201),
        Spread(310, 512, 640),
        700,
        Spread(41, 47, 52),
        {"software power cap": 0.05},
        (Neighbour("python", 2**30, 0.0),),
    ),
)


def _span(seconds: float, operations: float, bound: bool = False) -> Duration:
    share = operations / 7.4e14 / seconds
    return Duration(
        seconds, seconds * 0.995, seconds * 1.006, 200, 20,
        launch_bound=bound, wall_s=seconds * 3 if bound else None, tflops=operations / seconds / 1e12,
        roofline_share=share if share < 1 else None, bound="matmul" if operations > 1e9 else "memory",
    )  # fmt: skip


def _timing(case: Case, fwd_s: float, peak: int, **more: object) -> Timing:
    pairs = case.B * case.Hq * case.Mq * case.Mkv
    operations = 4.0 * pairs * case.K
    bound = fwd_s < 2e-5
    both = case.passes == "fwd+bwd"
    return Timing(
        _span(fwd_s, operations, bound),
        _span(2.6 * fwd_s, 2.5 * operations) if both else None,
        _span(3.5 * fwd_s, 3.5 * operations, bound) if both else None,
        0.02, peak, 2**22 * case.Mkv // 512, operations, "CUDA events",
        cache="cold (flushed by reading, 60.0 MiB of cache)", target_ci=0.02,
        memory="torch's CUDA allocator: max_memory_allocated over the baseline",
        rates=_RATES, conditions=_SEEN, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def _outcome(backend: str, case: Case) -> Outcome:
    n, linear = case.Mkv, 2**24 * case.Mkv // 512
    seconds = 0.8e-5 + 4e-11 * n**2 * (1 if case.Mq > 1 else 1 / 512)
    match backend:
        case "sdpa-math" if n > 4096:
            return OutOfMemory("forward", "CUDA out of memory. Tried to allocate 64.00 GiB")
        case "sdpa-math":
            cost = _timing(case, 9 * seconds, linear * n // 128)
            return Measured("dense", _RIGHT, cost, ("ampere_bf16_gemm", "softmax_warp_forward"))
        case "sdpa-cudnn":
            cost = _timing(case, 1.6e-5 + seconds / 2, linear)
            return Measured("is_causal", _RIGHT, cost, ("cudnn_sdpa_sm90_fprop",))
        case "sdpa-mem-efficient" if n == 2048:
            lost = _timing(case, 2 * seconds, linear).without_times(
                "another process had kernels on the GPU for 34% of the time"
            )
            return Measured("is_causal", _RIGHT, lost, ("fmha_cutlassF_bf16",))
        case "sdpa-mem-efficient":
            cost = _timing(case, 2 * seconds, linear)
            return Measured("is_causal", _RIGHT, cost, ("fmha_cutlassF_bf16",))
        case "kernel.py:mine":
            left = Timing(withheld=("not timed: the result is wrong (accuracy)",))
            return Measured("is_causal", _WRONG, left, ("my_kernel",))
        case "sdpa-default" if n == 1024:
            why = "fell back to unfused math: no kernel matches /flash|cudnn/; seen: softmax_warp"
            cost = _timing(case, 9 * seconds, 8 * linear)
            return Measured("is_causal", _RIGHT, cost, ("softmax_warp",), why)
        case "flex" if case.passes != "fwd":
            return Refused("library", ("no backward in this build",))
        case "xformers-fa2":
            return Raised("forward", "RuntimeError", "invalid configuration argument")
        case _:
            return Measured("is_causal", _RIGHT, _timing(case, seconds, linear), ("flash_fwd",))


_BACKENDS = (
    "sdpa-default", "sdpa-flash", "sdpa-cudnn", "sdpa-mem-efficient", "sdpa-math", "flex",
    "xformers-fa2", "kernel.py:mine",
)  # fmt: skip
_RATIOS = {"sdpa-flash": 1.0, "sdpa-cudnn": 0.62, "sdpa-mem-efficient": 2.0, "sdpa-math": 9.0}


def _ratio(median: float) -> Ratio:
    return Ratio(median, median * 0.992, median * 1.004, 40)


def _trials(case: Case) -> list[Record]:
    found = []
    for backend in _BACKENDS:
        outcome = _outcome(backend, case)
        found.append(Record(Trial(case, backend, "time"), outcome, {"time": 0.6}))
        if backend == "flex" and case.passes != "fwd":
            alone = case.edit(passes="fwd")
            found.append(Record(Trial(alone, backend, "time"), _outcome(backend, alone)))
        if backend in _RATIOS and isinstance(outcome, Measured):
            ratio = _ratio(_RATIOS[backend])
            both = ratio if case.passes == "fwd+bwd" else None
            versus = Versus("sdpa-default", ratio, both, both)
            compared = Measured("is_causal", _RIGHT, versus=versus)
            found.append(Record(Trial(case, backend, "compare", rival="sdpa-default"), compared))
    return found


def _search() -> list[Record]:
    def fits(backend: str, length: int, outcome: Outcome) -> Record:
        return Record(Trial(_DECODE.edit(Mkv=length), backend, "fits"), outcome)

    ran = Measured("is_causal", timing=Timing(peak_bytes=2**20, floor_bytes=2**19))
    full = OutOfMemory("prepare", "CUDA out of memory. Tried to allocate 64.00 GiB. GPU 0 has")
    return [
        fits("sdpa-flash", 2**20, ran),
        fits("sdpa-flash", 2**21, full),
        fits("sdpa-math", 2**17, ran),
        fits("sdpa-math", 2**18, full),
        fits("xformers-fa2", 2**13, Raised("forward", "RuntimeError", "invalid configuration")),
    ]


PROFILED = Report(
    command="profile",
    workload="mine.yaml",
    environment=ENVIRONMENT,
    records=(
        *(r for n in _LENGTHS for r in _trials(_CASE.edit(Mq=n, Mkv=n))),
        *_trials(_DECODE),
        *_search(),
    ),
    notes=("left out of the sweep: Hkv=3: Hkv=3 does not divide Hq=16",),
    started="2026-11-21T09:30:00Z",
    seconds=61.2,
)

UNTIMED = replace(PROFILED, records=(), notes=())
