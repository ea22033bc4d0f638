"""sdpa_kernel changes the whole process: other threads see it while it lasts.

**What happens.** Threads that serve or evaluate change their kernel now and then, with no reason in
their code; results and times vary from run to run.

**Why.** The switches and the order of kernels belong to torch's global context. The context manager sets
them and sets them back; it is not thread-local.

**Experiment.** Another thread asks whether flash is on, while one is inside `sdpa_kernel(MATH)`, and
while none is.

**Remedy.** Set the kernels once, before the threads start, with `torch.backends.cuda.enable_*_sdp`; or a
process for each selection.

**Versions.** All of torch 2. From 2.15 the priority is remembered per context, the switches are not.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "kernels-chosen-in-threads"


def suspect(here: Situation) -> str | None:
    """The code says so."""
    if here.has(HABIT):
        return "a kernel is selected in one thread while others call attention"
    return None


def predict(here: Situation) -> Prediction:
    """0: it is off for all."""
    because = "the switches are of the process, not of the thread"
    return Prediction("value", 0, 0, because, of="flash enabled in another thread")


def experiment(here: Situation) -> Experiment:
    """One edit: the context."""
    return Experiment(here.small(f"written/{HABIT}"), here.small(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP064",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="torch.backends.cuda.enable_math_sdp(False)  # once, before any thread starts",
    references=(
        "torch@2.13.0:torch/nn/attention/__init__.py (sdpa_kernel)",
        "torch@2.13.0:aten/src/ATen/Context.h (setSDPUseFlash)",
    ),
)
