"""sdpa_kernel([A, B]) allows A and B; which of them runs is torch's order.

**What happens.** The kernel that stands first in the list does not run, and nothing says so.

**Why.** The list switches kernels on and off. Their order counts with `set_priority=True` alone; else
torch asks them in its own: cuDNN or flash first, memory-efficient, math.

**Experiment.** The memory-efficient kernel listed before flash, without and with `set_priority`;
torch's own selection is asked which it takes.

**Remedy.** `set_priority=True`, or one kernel alone.

**Versions.** `set_priority` exists since torch 2.6. On a CPU it changes torch's list and not the choice
(2.13): there the kernels have an order of their own.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall, Untestable
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls._dispatch import HALF

HABIT = "kernels-listed"


def suspect(here: Situation) -> str | None:
    """A GPU, and a list."""
    if here.has(HABIT) and here.on_cuda:
        return "a list of kernels without set_priority: torch's order decides among them"
    return None


def predict(here: Situation) -> Prediction:
    """0: the second one runs."""
    because = "the order of the list counts with set_priority=True alone"
    return Prediction("value", 0, 0, because, of="the first of the list runs")


def experiment(here: Situation) -> Experiment | Untestable:
    """One edit: the flag."""
    if here.release("torch") < (2, 6):
        return Untestable("this torch has no set_priority; 2.6 and later have")
    if here.case.dtype not in HALF or here.case.groups > 1:
        return Untestable("one of the two kernels takes no such call; one in bfloat16 tests it")
    return Experiment(here.small(f"written/{HABIT}"), here.small(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP063",
    severity="low",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="with sdpa_kernel([SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION], set_priority=True):",
    references=("torch@2.13.0:torch/nn/attention/__init__.py (sdpa_kernel)",),
)
