"""xformers.ops.SwiGLU is no longer fused.

**What happens.** The layer is as slow as three lines of eager PyTorch and keeps four hidden tensors
for the backward, although tutorials still call it fused.

**Why.** The fused operators were removed in 0.0.34. The class is still there, and its dispatcher
always answers "eager".

**Experiment.** Hidden tensors that the layer keeps for its backward; those that `torch.compile`'s
partitioner keeps of the same three lines.

**Remedy.** `torch.compile` on the MLP written with `F.silu`.

**Versions.** xFormers 0.0.34 and later.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "xformers-swiglu"


def suspect(here: Situation) -> str | None:
    """The layer, in a release that has lost the operator."""
    if here.has(HABIT) and here.release("xformers") >= (0, 0, 34):
        return f"xFormers {here.versions['xformers']} computes SwiGLU operator by operator"
    return None


def predict(here: Situation) -> Prediction:
    """Both products, the activation and the product of the two; a fused backward needs the first two."""
    return Prediction(
        "value", 4, 4, "autograd of single operators keeps all inputs", of="hidden tensors kept"
    )


def experiment(here: Situation) -> Experiment:
    """One edit: who computes the MLP."""
    return Experiment(here.small(f"written/{HABIT}"), here.small(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP101",
    severity="low",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix=("@torch.compile\ndef mlp(x):\n    return w3(F.silu(w1(x)) * w2(x))"),
    references=("xformers CHANGELOG 0.0.34", "xformers@0.0.35:xformers/ops/swiglu_op.py"),
    once=True,
)
