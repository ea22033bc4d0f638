"""context_parallel has no ring for tensor masks, the math kernel and CPUs.

**What happens.** "got mixed torch.Tensor and DTensor", "attn_bias is not supported yet", "does not have
a sharding strategy registered", or a minute of nothing while DTensor looks for a strategy.

**Why.** The ring is written for the flash, memory-efficient and cuDNN operators, causal or without a
mask. What torch would otherwise choose for the call, decomposed or on a CPU, meets tensors that are
sharded and has no rule for them.

**Experiment.** The math kernel in context_parallel with a group of one rank, and outside of it. Masks
and CPUs need the script and its ranks.

**Remedy.** `sdpa_kernel(SDPBackend.FLASH_ATTENTION)` and `is_causal=True`; without a mask
`_cp_options.enable_load_balance = False` (pytorch#141622).

**Versions.** torch 2.6 to 2.13 on GPUs and CPUs; CPUs later (pytorch#177583).
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall, Untestable
from attnprobe.diagnosis.situation import Situation

RING, MATH = "context-parallel", "math-in-a-ring"


def suspect(here: Situation) -> str | None:
    """What the ring's dispatch has no operator for."""
    case = here.case
    if here.has(MATH) or (here.has(RING) and here.calls("sdpa-math")):
        return "the math kernel is decomposed into operators that no ring is written for"
    if not here.has(RING):
        return None
    dense = case.mask_form != "best" and not case.mask.is_none
    if dense or case.score.bias is not None or case.lengths is not None:
        return "the mask is a tensor, which the ring does not send around"
    if not here.on_cuda:
        return "the CPU's flash operator is none of those that a ring is written for"
    return None


def predict(here: Situation) -> Prediction:
    """The words of its checks, or of DTensor."""
    why = "_sdpa_handler knows three operators, and raises for attn_bias"
    return Prediction("refused", 1, 1, why, "DTensor|sharding strategy|attn_bias")


def experiment(here: Situation) -> Experiment | Untestable:
    """One edit: the ring. Forward alone: a backward would need the group to be there still."""
    if not here.has(MATH) and not here.calls("sdpa-math"):
        return Untestable("needs your script and two ranks: torchrun --nproc-per-node 2")
    return Experiment(
        here.arm(f"written/{MATH}", passes="fwd"), here.arm("sdpa-math", passes="fwd")
    )


PITFALL = Pitfall(
    code="AP121",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="with sdpa_kernel(SDPBackend.FLASH_ATTENTION): ...  # and is_causal=True instead of a mask",
    references=(
        "pytorch#147793",
        "pytorch#141429",
        "torch@2.13.0:torch/distributed/tensor/experimental/_context_parallel/_attention.py",
    ),
)
