"""cuDNN builds a plan for every new shape, and takes the host tens of milliseconds for it.

**What happens.** Every length that was not seen before costs tens of milliseconds: training on texts of
all lengths is bound by the CPU, serving stutters with each new length of the cache.

**Why.** Torch keeps cuDNN's plans by exact sizes and strides, in each thread for itself, and builds one
where there is none. From 2.11 cuDNN is the default on compute capability 9.0 and 10.0, so this came
with an upgrade.

**Experiment.** cuDNN's kernel on batches of eight lengths, the first call of each over its second; the
same batches padded to one length.

**Remedy.** Lengths rounded up to a few sizes; or TORCH_CUDNN_SDPA_DEPRIORITIZED=1, with which flash is
asked first. TORCH_CUDNN_SDPA_AVOID_RECOMPILE=1 rounds inside torch, for calls without mask whose q, k
and v lie as (B, M, H, K).

**Versions.** torch 2.5.0, and 2.11 and later with cuDNN after 9.15.
"""

from __future__ import annotations

import math

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall, Untestable
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _dispatch, _work

HABIT = "length-of-its-own"
MANY = 20
"""Lengths of one workload from which it is no longer a few buckets."""
PLAN_S = 0.02
"""Least that was reported for one: 23 to 42 ms."""
RATE = 3e14
"""FLOP/s of cuDNN at least, on the GPUs where it is the default."""
SHORTEST = 128
"""Queries from which eight lengths fit below."""


def suspect(here: Situation) -> str | None:
    """Where cuDNN runs: the code says so, or the workload has many lengths of one call."""
    case = here.case
    if not _runs(here) or "TORCH_CUDNN_SDPA_AVOID_RECOMPILE" in here.environment.variables:
        return None
    if _work.forward_flops(case) / RATE > PLAN_S / 10:
        return None  # a plan is little beside so long a call
    if here.has(HABIT):
        return "every batch has a length of its own, and cuDNN plans for each"
    calls = (other.case for other in here.workload)
    lengths = {other.Mq for other in calls if (other.Hq, other.K) == (case.Hq, case.K)}
    if len(lengths) >= MANY:
        return f"the workload has {len(lengths)} lengths, and cuDNN plans for each"
    return None


def predict(here: Situation) -> Prediction:
    """A plan against a call; plans of 23 to 42 ms were reported."""
    return Prediction(
        "value",
        10,
        math.inf,
        "a plan takes tens of milliseconds (pytorch#191576: 42 ms), a planned call a fraction of one",
        of="first call over second",
    )


def experiment(here: Situation) -> Experiment | Untestable:
    """One edit: lengths of their own, or one for all."""
    if here.case.Mq < SHORTEST:
        return Untestable(
            f"shown on eight lengths below the call's own: with Mq of {SHORTEST} and more"
        )
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


def _runs(here: Situation) -> bool:
    named = here.backend == "sdpa-cudnn" and _dispatch.cudnn_takes(here)
    return named or (here.backend == "sdpa-default" and _dispatch.cudnn_runs(here))


PITFALL = Pitfall(
    code="AP065",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="export TORCH_CUDNN_SDPA_DEPRIORITIZED=1  # or pad lengths to a multiple of 256",
    references=(
        "pytorch#154602",
        "pytorch#155958",
        "pytorch#191576",
        "modelscope/FunASR#3705",
        "torch@2.13.0:aten/src/ATen/native/cudnn/MHA.cpp",
    ),
    once=True,
)
