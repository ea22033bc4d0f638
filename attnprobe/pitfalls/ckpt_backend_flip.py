"""A kernel chosen around the forward only is another one when checkpointing recomputes.

**What happens.** `CheckpointError` in the backward: the recomputed tensors have other shapes,
dtypes or numbers than the saved ones, sometimes only after an upgrade or on another GPU.

**Why.** Kernels save different tensors for their backward (the math path every intermediate, cuDNN
a log-sum-exp with one dimension more than flash). The recomputation runs in the backward, outside
`with sdpa_kernel(...)` around the forward, and takes torch's own choice.

**Experiment.** A checkpointed call with the context around the forward alone; the context inside.

**Remedy.** `sdpa_kernel` inside the function that is checkpointed, or around forward and backward.

**Versions.** Non-reentrant checkpoints, torch 2.1 and later; reentrant ones do not compare, and go
on with another kernel in silence.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "sdpa-kernel-around-forward"


def suspect(here: Situation) -> str | None:
    """Only a backward recomputes."""
    if here.has(HABIT) and here.case.wants_backward:
        return "the recomputation in the backward is not inside `sdpa_kernel`"
    return None


def predict(here: Situation) -> Prediction:
    """Seen or not: what the two kernels save differs in number already."""
    return Prediction(
        "refused",
        1,
        1,
        "the math path saves other tensors than torch's own choice",
        of="CheckpointError|different number of tensors|different metadata",
    )


def experiment(here: Situation) -> Experiment:
    """One edit: where the context begins."""
    return Experiment(here.small(f"written/{HABIT}"), here.small(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP088",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix=(
        "def attend(q, k, v):\n"
        "    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):\n"
        "        return F.scaled_dot_product_attention(q, k, v, is_causal=True)\n"
        "out = checkpoint(attend, q, k, v, use_reentrant=False)"
    ),
    references=(
        "NVIDIA-NeMo/RL#1676",
        "huggingface/trl#4314",
        "torch@2.13.0:torch/utils/checkpoint.py",
    ),
)
