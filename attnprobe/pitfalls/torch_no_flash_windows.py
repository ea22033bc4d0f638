"""A torch built without flash attention takes a slower kernel.

**What happens.** "Torch was not compiled with flash attention", once, and the memory-efficient kernel
runs.

**Why.** Flash attention is a build option, and Windows wheels were built without it.

**Experiment.** The call as it is, and through cuDNN.

**Remedy.** cuDNN before the memory-efficient kernel:
`sdpa_kernel([CUDNN_ATTENTION, EFFICIENT_ATTENTION], set_priority=True)`.

**Versions.** CUDA builds of torch whose `is_flash_attention_available()` is False.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _machine
from attnprobe.remedies import torch_without_flash


def suspect(here: Situation) -> str | None:
    """16 bits on a GPU, without what keeps flash and cuDNN from a call anyway."""
    case = here.case
    takes = case.dtype in ("float16", "bfloat16") and case.K % 8 == 0 and case.K <= 128
    if not here.on_cuda or not here.calls("sdpa-default") or not takes or case.score.bias:
        return None
    return _machine.what(_said(here))


def _said(here: Situation) -> str | None:
    return torch_without_flash.matches(here.environment, ())


def predict(here: Situation) -> Prediction:
    """What the two kernels were seen to take; older GPUs are nearer to each other."""
    why = (
        "memory-efficient over cuDNN: 3.2 forward, 4.2 both ways (H200, M 2048); about 2 on an RTX"
    )
    return Prediction("time", 1.4, 5, why)


def experiment(here: Situation) -> Experiment:
    """One edit: the kernel."""
    return Experiment(here.arm(), here.arm("sdpa-cudnn"))


PITFALL = Pitfall(
    code="AP108",
    severity="low",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="with sdpa_kernel([CUDNN_ATTENTION, EFFICIENT_ATTENTION], set_priority=True): ...  # SDPBackend",
    references=("Comfy-Org/ComfyUI#9299", "torch@2.13.0:torch/nn/attention/__init__.py"),
    once=True,
)
