"""Made-up sessions: a few trials on one GPU, and what an upgrade may do to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from attnprobe.core.case import Case
from attnprobe.core.environment import Environment, Gpu, Package, Torch
from attnprobe.core.outcome import Measured, Outcome, Raised, Refused
from attnprobe.core.parity import Failure, Parity
from attnprobe.core.report import Report
from attnprobe.core.timing import Duration, Timing, Turn
from attnprobe.core.trial import Record, Trial

CASE = Case(2, 8, 8, 512, 512, 64, 64, device="cuda", name="self")
RIGHT = Parity("pass", "fused")
WRONG = Parity("fail", "fused", failures=(Failure("accuracy", "out differs"),))
REFUSED = Refused("library", ("no",))
RAISED = Raised("forward", "ValueError", "bad")


def duration(median: float, half_width: float = 0.002, rounds: int = 60) -> Duration:
    ends = median * (1 - half_width), median * (1 + half_width)
    return Duration(median, *ends, n=4 * rounds, rounds=rounds)


def timing(fwd_s: float = 1e-3, **changes: Any) -> Timing:
    known: dict[str, Any] = {
        "peak_bytes": 32 * 2**20,
        "clock": "CUDA events",
        "cache": "cold (flushed)",
        "memory": "the allocator's peak",
    }
    return Timing(duration(fwd_s), **{**known, **changes})


def measured(fwd_s: float = 1e-3, parity: Parity = RIGHT, **changes: Any) -> Measured:
    return Measured("is_causal", parity, timing(fwd_s, **changes), ("flash_fwd",))


def in_turns(medians: tuple[float, ...], of: str = "one run", **changes: Any) -> Measured:
    turns = tuple(Turn(number, fwd_s) for number, fwd_s in enumerate(medians))
    return measured(turns=turns, turns_of=of, **changes)


def environment(**changes: Any) -> Environment:
    here = Environment(
        attnprobe="0.1.0",
        python="3.12.3",
        os="Ubuntu 24.04",
        cpu="Xeon",
        cores=16,
        driver="580.95",
        gpus=(Gpu(0, "", "NVIDIA H200", power_w=(118.0, 700.0)),),
        packages=(Package("torch", "2.11.0"), Package("xformers", "0.0.35")),
        variables={"CUDA_VISIBLE_DEVICES": "0"},
        torch=Torch("2.11.0", cuda="13.0", cudnn="9.19.0", flags={"deterministic": "False"}),
    )
    return replace(here, **changes)


def report(outcomes: Mapping[str, Outcome], case: Case = CASE, **changes: Any) -> Report:
    """One trial of `case` per backend."""
    records = tuple(Record(Trial(case, name, "time"), end) for name, end in outcomes.items())
    known: dict[str, Any] = {"command": "report", "environment": environment()}
    return Report(records=records, **{**known, **changes})
