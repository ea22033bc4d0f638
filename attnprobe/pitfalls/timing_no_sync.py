"""A GPU timed without a wait reports the launch, not the attention.

**What happens.** Attention "takes 20 microseconds" whatever its length, and the statement after it,
which happens to wait, looks slow.

**Why.** Kernel launches are asynchronous: the call returns once the kernel is in the queue. A host clock
around it measures Python and the launch.

**Experiment.** Ten calls as the benchmark times them, over the same ten waited for; beside it CUDA
events.

**Remedy.** CUDA events or `torch.cuda.synchronize()` on both sides, after a warm-up; or
`torch.utils.benchmark`, or triton's `do_bench`.

**Versions.** All. On a CPU calls return when they are done.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls._work import fastest_s

HABIT = "timing-no-sync"

LAUNCH_S = 100e-6
"""Longest time that one launch through `scaled_dot_product_attention` takes a host; 20 to 60 us is usual
(pytorch#141129)."""


def suspect(here: Situation) -> str | None:
    """Where launching takes as long as the kernel, a clock without a wait is not far off."""
    if not here.on_cuda or not here.has(HABIT):
        return None
    least = fastest_s(here.case)
    if least < 2 * LAUNCH_S:
        return None
    return f"the clock stops after the launch; the kernel takes {least * 1e6:.0f} us at least"


def predict(here: Situation) -> Prediction:
    """Launch over kernel: the longest launch over the shortest that the kernel can be."""
    most = LAUNCH_S / fastest_s(here.case)
    return Prediction(
        "value",
        0.0,
        most,
        f"at most {LAUNCH_S * 1e6:.0f} us of launching over FLOPs at an H200's full rate",
        "reported share of the time",
    )


def experiment(here: Situation) -> Experiment:
    """One edit: who holds the clock."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP115",
    severity="critical",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="start.record(); attention(); end.record(); end.synchronize()  # two torch.cuda.Event",
    references=(
        "https://docs.pytorch.org/docs/stable/notes/cuda.html#asynchronous-execution",
        "https://discuss.pytorch.org/t/147049",
    ),
)
