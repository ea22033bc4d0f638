"""An average that counts the first call measures the compiler.

**What happens.** FlexAttention or a compiled model looks a thousand times slower than it is, or a new
shape does.

**Why.** torch.compile, Triton's autotuning and cuDNN's plans do their work in the first call of every
shape and mask: a tenth of a second from the cache on disk, tens of seconds without.

**Experiment.** Ten compiled calls: which share of their time the first took, from the very first on, and
after a warm-up. A tenth would be fair.

**Remedy.** Warm up for every shape, and report the first call for itself.

**Versions.** Whatever compiles: flex, torch.compile, Triton kernels.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls._work import forward_flops

HABIT = "timing-first-call"
CALLS = 10
COMPILE_S = 0.05
"""Least that tracing and a hit in inductor's cache take; 15 s were seen on two cores without one."""
SLOWEST = {True: 2e13, False: 2e9}
"""FLOP/s that a compiled kernel reaches at least, on a GPU and on a CPU core."""
HOST_S = 300e-6
"""Longest that a warm compiled call takes before its first FLOP."""


def suspect(here: Situation) -> str | None:
    """Only what compiles, and only where a call is short beside compiling."""
    compiles = here.calls("flex") or here.subject.needs.compile
    if not here.has(HABIT) or not compiles or _share(here) < 0.3:
        return None
    most = _slowest_s(here) * 1e3
    return f"the first of {CALLS} calls compiles, and the others take {most:.1f} ms at most"


def predict(here: Situation) -> Prediction:
    """Compiling at its fastest, over it and nine calls at their slowest."""
    why = f"{COMPILE_S * 1e3:.0f} ms or more to compile, over it and nine calls at their slowest"
    return Prediction("value", _share(here), 1, why, "share of the first of ten calls")


def _share(here: Situation) -> float:
    return COMPILE_S / (COMPILE_S + (CALLS - 1) * _slowest_s(here))


def _slowest_s(here: Situation) -> float:
    return HOST_S + forward_flops(here.case) / SLOWEST[here.on_cuda]


def experiment(here: Situation) -> Experiment:
    """One edit: a warm-up."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP116",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="for _ in range(3): attention(q, k, v)  # then start the clock; once more for each new shape",
    references=(
        "https://docs.pytorch.org/docs/stable/generated/torch.compile.html",
        "torchtune#1652",
    ),
)
