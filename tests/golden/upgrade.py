"""The H200's report of `example`, and the same machine after an upgrade that did everything at once."""

from __future__ import annotations

from dataclasses import replace

from attnprobe.core.environment import Package
from attnprobe.core.outcome import Measured, Outcome, Refused
from attnprobe.core.report import Report
from attnprobe.core.timing import Duration, Timing
from attnprobe.core.trial import Record
from tests.golden import example

OLD = example.H200

_TORCH = OLD.environment.torch if OLD.environment else None
assert OLD.environment is not None
assert _TORCH is not None
_ENVIRONMENT = replace(
    OLD.environment,
    driver="590.12.01",
    packages=(
        Package("torch", "2.12.0+cu130", "cp312-cp312-manylinux_2_28_x86_64"),
        *OLD.environment.packages[1:-1],
        Package("flash-attn", "2.9.0"),
    ),
    variables={**OLD.environment.variables, "TORCH_CUDNN_SDPA_ENABLED": "1"},
    torch=replace(
        _TORCH,
        version="2.12.0+cu130",
        cudnn="9.22.1",
        flags={**_TORCH.flags, "deterministic": "True"},
        debug=("git 0c1d9f2a",),
    ),
)
_NOW = {"sdpa-flash": 1.062, "sdpa-cudnn": 1.06, "flex": 0.71, "eager": 1.004, "sdpa-default": 1.0}
"""Factors on all times."""


def _scaled(duration: Duration | None, factor: float) -> Duration | None:
    if duration is None:
        return None
    times = (duration.median * factor, duration.low * factor, duration.high * factor)
    return Duration(*times, n=duration.n, rounds=duration.rounds)


def _timing(timing: Timing, backend: str) -> Timing:
    if backend == "sdpa-mem-efficient":
        return timing.without_times("the clocks were throttled")
    factor = _NOW.get(backend, 1.0)
    peak = timing.peak_bytes or 0
    return replace(
        timing,
        fwd_s=_scaled(timing.fwd_s, factor),
        bwd_s=_scaled(timing.bwd_s, factor),
        fwd_bwd_s=_scaled(timing.fwd_bwd_s, factor),
        peak_bytes=2 * peak if backend == "flex" else peak,
    )


def _outcome(record: Record) -> Outcome:
    backend, outcome = record.trial.backend, record.outcome
    match outcome:
        case Measured(timing=Timing() as timing) if backend == "sdpa-cudnn":
            kernels = ("cudnn_sdpa_sm90_fprop_v2",)
            return replace(outcome, timing=_timing(timing, backend), kernels=kernels)
        case Measured(timing=Timing() as timing):
            return replace(outcome, timing=_timing(timing, backend))
        case Measured(parity=parity) if parity and parity.verdict == "fail":
            return replace(outcome, parity=replace(parity, verdict="pass", failures=()))
        case Measured() if backend == "sdpa-math" and record.trial.case.score.alibi:
            return replace(outcome, parity=example._NAN)
        case Measured() if backend == "mha" and record.trial.case.dtype == "float32":
            return Refused("library", ("float32 is deprecated",))
        case Refused(by="library") if backend == "xformers-cutlass":
            return Measured("LowerTriangularMask", example._good())
        case _:
            return outcome


NEW = Report(
    command="report",
    workload=OLD.workload,
    environment=_ENVIRONMENT,
    backends=(
        *(replace(f, fact="runs") if f.name == "xformers-cutlass" else f for f in OLD.backends),
    ),
    records=tuple(replace(r, outcome=_outcome(r)) for r in OLD.records[:-1]),
    notes=("1 of 270 trials not run: 106 s were over",),
    complete=False,
    started="2026-11-22T10:00:00Z",
    seconds=91.0,
)
