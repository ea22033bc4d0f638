"""An average that counts the first call measures the compiler.

**What happens.** FlexAttention or a compiled model looks a thousand times slower than it is, or a new
shape does.

**Why.** torch.compile, Triton's autotuning and cuDNN's plans do their work in the first call of every
shape and mask: a tenth of a second from the cache on disk, tens of seconds without.

**Experiment.** The mean of ten compiled calls with the first one, over the mean without; then the same
after a warm-up.

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
COMPILE_S = (0.05, 30.0)
"""Tracing and a hit in inductor's cache; both compilers without one (15 s were seen on two cores)."""
RATES = {True: (2e13, 1e15), False: (2e9, 1e12)}
"""FLOP/s that a kernel reaches at least and at most, on a GPU and on a CPU core or many."""
HOST_S = (20e-6, 300e-6)
"""What a warm compiled call takes before the first FLOP."""


def suspect(here: Situation) -> str | None:
    """Only what compiles, and only where a call is short beside compiling."""
    compiles = here.calls("flex") or here.subject.needs.compile
    if not here.has(HABIT) or not compiles or _ratio(here)[0] < 1.5:
        return None
    slowest = _call_s(here)[1]
    return (
        f"the first of {CALLS} calls compiles, and the others take {slowest * 1e3:.1f} ms at most"
    )


def predict(here: Situation) -> Prediction:
    """(first + 9 warm) / 10 over warm."""
    low, high = _ratio(here)
    why = f"compiling takes {COMPILE_S[0]:g} to {COMPILE_S[1]:g} s, a tenth of it on each call"
    return Prediction("value", low, high, why, "reported over warm time")


def _ratio(here: Situation) -> tuple[float, float]:
    shortest, longest = _call_s(here)
    return 1 + COMPILE_S[0] / CALLS / longest, 1 + COMPILE_S[1] / CALLS / shortest


def _call_s(here: Situation) -> tuple[float, float]:
    slow, fast = RATES[here.on_cuda]
    flops = forward_flops(here.case)
    return HOST_S[0] + flops / fast, HOST_S[1] + flops / slow


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
