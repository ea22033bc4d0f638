"""Single calls of a small problem measure the launch, not the kernel.

**What happens.** All backends tie at 20 to 60 microseconds, or the one with more Python around it loses.

**Why.** Below about 100 microseconds the host is slower than the GPU: between two events around one call
the GPU mostly waits for the launch.

**Experiment.** Events around single calls, over the time per call in a CUDA graph of fifty.

**Remedy.** A CUDA graph of many calls, divided, or `do_bench_cudagraph`, where the kernel is meant; the
single call where the model's own loop makes single calls, but then it is the host that is compared.

**Versions.** All, on GPUs.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls._work import fastest_s

HABIT = "timing-single-call"
LAUNCH_S = (12e-6, 100e-6)
"""Host time of one `scaled_dot_product_attention` without gradients, from Python to the launch."""
KERNEL_S = 2e-6
"""What the smallest kernel takes."""
EFFICIENCY = 0.05
"""Share of the full rate that a kernel too small to fill the GPU reaches at least."""


def suspect(here: Situation) -> str | None:
    """Where the kernel must be done before the next could be launched."""
    if not here.on_cuda or not here.has(HABIT) or _ratio(here)[0] < 1.2:
        return None
    return f"the kernel takes {_longest(here) * 1e6:.0f} us at most, launching it 12 and more"


def predict(here: Situation) -> Prediction:
    """Launch over kernel, both from their bounds."""
    low, high = _ratio(here)
    why = "12 to 100 us to launch over 2 us and FLOPs at 5% to 100% of an H200's rate"
    return Prediction("value", low, high, why, "reported over kernel time")


def _ratio(here: Situation) -> tuple[float, float]:
    return LAUNCH_S[0] / _longest(here), LAUNCH_S[1] / (KERNEL_S + fastest_s(here.case))


def _longest(here: Situation) -> float:
    return KERNEL_S + fastest_s(here.case) / EFFICIENCY


def experiment(here: Situation) -> Experiment:
    """One edit: how calls are queued."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP117",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="triton.testing.do_bench_cudagraph(lambda: attention(q, k, v))",
    references=("pytorch#141129",),
)
