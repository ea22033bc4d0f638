"""cuDNN's backward fails under context_parallel.

**What happens.** "same_strides(o, dO_) INTERNAL ASSERT FAILED" in the backward of the ring.

**Why.** cuDNN's backward wants the gradient of the output to have the output's strides. The ring merges
parts of the output by arithmetic, `chunk` and `cat`, which leave other strides than autograd's gradient
has.

**Experiment.** Two ranks with cuDNN and with flash: it needs two GPUs, since one rank merges nothing.

**Remedy.** `sdpa_kernel(SDPBackend.FLASH_ATTENTION)` around the forward.

**Versions.** torch 2.11 and later where SDPA takes cuDNN (Hopper and Blackwell); open when read.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Prediction
from attnprobe.diagnosis.rule import Pitfall, Untestable
from attnprobe.diagnosis.situation import Situation

HABIT = "context-parallel"


def suspect(here: Situation) -> str | None:
    """A backward that cuDNN may run."""
    case = here.case
    fused = case.dtype in ("float16", "bfloat16") and case.wants_backward
    if not here.on_cuda or not here.has(HABIT) or not fused or here.release("torch") < (2, 11):
        return None
    torch = here.environment.torch
    first = torch.sdpa_priority[:1] if torch else ()
    if here.calls("sdpa-cudnn") or (here.calls("sdpa-default") and first == ("cudnn_attention",)):
        return "cuDNN runs the ring's backward, and wants the strides of an output that was merged"
    return None


def predict(here: Situation) -> Prediction:
    """Its assertion."""
    return Prediction("refused", 1, 1, "MHA.cpp compares strides of o and dO", "same_strides")


def experiment(here: Situation) -> Untestable:
    """One rank merges nothing."""
    return Untestable(
        "needs two GPUs: torchrun --nproc-per-node 2 with your script, cuDNN and flash"
    )


PITFALL = Pitfall(
    code="AP122",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="with sdpa_kernel(SDPBackend.FLASH_ATTENTION): ...  # around the forward under context_parallel",
    references=("pytorch#176915",),
)
