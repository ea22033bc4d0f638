"""A fixed diagnosis: findings of every verdict, a fix that is none, and advice with its reasons."""

from __future__ import annotations

from dataclasses import replace

from attnprobe.core.case import Case
from attnprobe.core.diagnosis import Arm, Experiment, Needs, Prediction, Subject, Suspicion
from attnprobe.core.mask import Mask
from attnprobe.core.outcome import Measured, Outcome, Raised, Refused
from attnprobe.core.parity import Failure, Parity, Quantity
from attnprobe.core.report import Report
from attnprobe.core.timing import Duration, Timing
from attnprobe.core.trial import Record, Trial
from attnprobe.diagnosis.questions import timing
from tests.golden.example import ENVIRONMENT

CAUSAL = Mask(None, 0, "top-left")
CASE = Case(
    2,
    8,
    8,
    2048,
    2048,
    64,
    64,
    "float32",
    "cuda",
    CAUSAL,
    mask_form="dense-float",
    name="custom-mask",
)
SUBJECT = Subject(
    CASE, "xformers-default", calls_per_step=12, needs=Needs(deterministic=True), step_s=0.25
)
TILED = Subject(
    Case(2, 8, 2, 512, 512, 64, 64, "bfloat16", "cuda", name="decoder"),
    "sdpa-default",
    ("kv-tiled",),
)
RIGHT = Parity("pass", "fused", "fused", {"out": Quantity("pass", 0.3, "group", 1e-3)})
WRONG = Parity(
    "fail",
    "fused",
    failures=(
        Failure("accuracy", "out is far off", "head h reads key head h % Hkv", error_after=0.4),
    ),
)


def _timed(seconds: float, mebibytes: int, parity: Parity = RIGHT) -> Measured:
    taken = Duration(seconds, seconds * 0.99, seconds * 1.01, 200, 20)
    found = Timing(taken, taken, taken, seconds, peak_bytes=mebibytes * 2**20)
    return Measured("LowerTriangularMask", parity, found)


_FP32 = Suspicion(
    "AP054",
    "fp32-inputs",
    "float32 inputs leave the tensor cores idle.",
    "critical",
    SUBJECT,
    "q, k and v are float32: no flash or cuDNN kernel takes them",
    Prediction("time", 5, 20, "float32 FMA against bfloat16 tensor cores"),
    Experiment(Arm(CASE, "xformers-default"), Arm(CASE.edit(dtype="bfloat16"), "xformers-default")),
    fix='with torch.autocast("cuda", torch.bfloat16): ...',
    references=("xformers#700",),
)
_DENSE = replace(
    _FP32,
    code="AP093",
    name="xformers-tensor-mask-vs-class",
    title="A causal tensor where a mask class exists reads every masked score.",
    why="a causal mask is passed as a float tensor of 16.0 MiB",
    prediction=Prediction("time", 1.5, 3, "half of the pairs are masked"),
    experiment=Experiment(
        Arm(CASE, "xformers-default"), Arm(CASE.edit(mask_form="best"), "xformers-default")
    ),
    fix="xops.memory_efficient_attention(q, k, v, attn_bias=xops.LowerTriangularMask())",
)
_LAYOUT = replace(
    _FP32,
    code="AP055",
    name="transpose-contiguous-copies",
    title="Copies before the call cost memory traffic.",
    severity="low",
    why="inputs are BHMK, and the library takes BMHK",
    prediction=Prediction("time", 1.05, 1.4, "three copies"),
    experiment=Experiment(
        Arm(CASE, "xformers-default"), Arm(CASE.edit(layout="BMHK"), "xformers-default")
    ),
)
_NANS = replace(
    _FP32,
    code="AP033",
    name="cudnn-bwd-nan-mask-mod128",
    title="cuDNN gives NaN in dq where 64 keys are left over.",
    prediction=Prediction("wrong", 1, 1, "the tail of the last tile"),
    experiment=Experiment(Arm(CASE, "sdpa-cudnn"), Arm(CASE, "sdpa-flash")),
    why="Mkv % 128 is 64 and a mask is given",
)
_RING = replace(
    _FP32,
    code="AP121",
    name="cp-unsupported-path",
    title="Context parallelism takes some kernels only.",
    experiment=None,
    untestable="needs two GPUs: torchrun --nproc-per-node 2",
    why="a ring is asked for",
)
_TILED = replace(
    _FP32,
    code="AP010",
    name="gqa-repeat-vs-repeat-interleave",
    title="Key heads tiled with .repeat reach the wrong query heads.",
    severity="high",
    subject=TILED,
    why="Hkv=2 heads are tiled to Hq=8 with .repeat",
    prediction=Prediction("wrong", 1, 1, "query head h needs key head h // (Hq / Hkv)"),
    experiment=Experiment(Arm(TILED.case, "written/kv-tiled"), Arm(TILED.case, "sdpa-default")),
    fix="F.scaled_dot_product_attention(q, k, v, enable_gqa=True)",
)

_BEST = CASE.edit(mask_form="best")
_ANSWERS: list[tuple[Trial, Outcome]] = [
    (timing(Arm(CASE, "xformers-default")), _timed(9.55e-4, 56)),
    (timing(Arm(CASE.edit(dtype="bfloat16"), "xformers-default")), _timed(6.2e-5, 28)),
    (timing(Arm(_BEST, "xformers-default")), _timed(5.1e-4, 24)),
    (timing(Arm(CASE.edit(layout="BMHK"), "xformers-default")), _timed(9.5e-4, 56)),
    (Trial(CASE, "sdpa-cudnn", "check"), Refused("library", ("cuDNN takes 16-bit types",))),
    (Trial(CASE, "sdpa-flash", "check"), Refused("library", ("no float32",))),
    (Trial(TILED.case, "written/kv-tiled", "check"), Measured("none", WRONG)),
    (Trial(TILED.case, "sdpa-default", "check"), Measured("none", RIGHT)),
    (timing(Arm(_BEST, "sdpa-mem-efficient")), _timed(4.9e-4, 24)),
    (timing(Arm(_BEST, "sdpa-math")), _timed(4.2e-3, 1052)),
    (timing(Arm(_BEST, "sdpa-cudnn")), Raised("forward", "RuntimeError", "No execution plan")),
    (
        Trial(_BEST, "sdpa-mem-efficient", "determinism"),
        Measured(
            "is_causal=True",
            Parity("fail", "fused", failures=(Failure("determinism", "dq moves"),)),
        ),
    ),
    (Trial(_BEST, "xformers-default", "determinism"), Measured("class", RIGHT)),
    (timing(Arm(TILED.case, "sdpa-default")), _timed(4.1e-5, 6)),
]

DIAGNOSED = Report(
    command="diagnose",
    workload="xformers-issue-700",
    environment=ENVIRONMENT,
    records=tuple(Record(trial, outcome, {"forward": 0.1}) for trial, outcome in _ANSWERS),
    started="2026-11-21T12:00:00+00:00",
    seconds=31.0,
    subjects=(SUBJECT, TILED),
    suspicions=(_FP32, _DENSE, _LAYOUT, _NANS, _RING, _TILED),
)

SUSPECTED = replace(DIAGNOSED, records=())
HEALTHY = replace(SUSPECTED, suspicions=())
