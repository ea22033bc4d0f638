"""A checkpoint around a whole block computes its attention twice.

**What happens.** A step's attention takes up to a third longer, and hardly any memory is saved by that.

**Why.** Checkpointing keeps a block's inputs alone and runs its forward again in the backward. What
fused attention keeps is its output and a log-sum-exp, which is linear in the length: the part of a
block that costs the most to compute and the least to keep.

**Experiment.** The call checkpointed and not.

**Remedy.** Selective checkpointing: `create_selective_checkpoint_contexts` with SDPA's operators, which
are then kept while the rest of the block is recomputed.

**Versions.** All; selective checkpointing since torch 2.5.
"""

from __future__ import annotations

from attnprobe.core import cost
from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "attention-checkpointed"


def suspect(here: Situation) -> str | None:
    """Only with a backward there is something to recompute."""
    if here.has(HABIT) and here.case.passes == "fwd+bwd":
        return "the forward is run again in the backward"
    return None


def predict(here: Situation) -> Prediction:
    """One forward more, by FLOPs; backwards run at half to all of the forward's rate."""
    forward, backward = cost.flops(here.case, "fwd", 1), cost.flops(here.case, "bwd", 1)
    least, most = (1 + forward / (forward + times * backward) for times in (2, 1))
    because = f"forward {forward}, backward {backward} FLOP per pair, at half to all of its rate"
    return Prediction("time", least, most, because)


def experiment(here: Situation) -> Experiment:
    """One edit: the checkpoint; it is made selective in the remedy."""
    treatment, remedy = here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}")
    return Experiment(treatment, here.arm("sdpa-default"), remedy)


PITFALL = Pitfall(
    code="AP072",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix=(
        "sdpa = torch.ops.aten._scaled_dot_product_flash_attention.default  # and _efficient_, _cudnn_\n"
        "context_fn = partial(create_selective_checkpoint_contexts, [sdpa])\n"
        "out = checkpoint(block, x, use_reentrant=False, context_fn=context_fn)"
    ),
    references=(
        "NVIDIA/TransformerEngine#448",
        "torch@2.13.0:torch/utils/checkpoint.py (create_selective_checkpoint_contexts)",
    ),
)
