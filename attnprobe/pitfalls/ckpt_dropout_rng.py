"""Checkpointing without the random state differentiates another dropout mask.

**What happens.** Training runs, the loss looks ordinary, and it converges worse with checkpointing than
without.

**Why.** `checkpoint(..., preserve_rng_state=False)` runs the forward again in the backward, and that run
draws new random numbers: the gradient belongs to pairs that the forward had dropped.

**Experiment.** The gradient of the values with the state lost and with it kept, against the same call
without a checkpoint under the same seed. Two independent masks that keep a share 1 - p of the weights
differ by sqrt(2p) of their norm, and so do the gradients.

**Remedy.** Leave `preserve_rng_state` at its default.

**Versions.** All of torch.utils.checkpoint.
"""

from __future__ import annotations

import math

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "checkpoint-without-rng"

SCATTER = 0.15
"""Share by which the estimate of a case of a few thousand pairs lies off, at most."""


def suspect(here: Situation) -> str | None:
    """Dropout and a backward."""
    case = here.case
    if here.has(HABIT) and case.dropout_p and case.wants_backward and "v" in case.grads:
        return f"dropout {case.dropout_p:g} is drawn again when the checkpoint recomputes"
    return None


def predict(here: Situation) -> Prediction:
    """With masks D and D' of variance p/(1-p) about 1: E|D - D'|^2 / E|D|^2 = 2p.

    dv is the transpose of the kept weights times dout; for a dout that knows nothing of the masks
    relative norms carry over.
    """
    error = math.sqrt(2 * here.case.dropout_p)
    return Prediction(
        "value",
        error * (1 - SCATTER),
        error * (1 + SCATTER),
        "sqrt(2p): two independent dropout masks over the norm of one",
        "relative error of dv",
    )


def experiment(here: Situation) -> Experiment:
    """One edit: preserve_rng_state."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP025",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="checkpoint(attention, x, use_reentrant=False)  # preserve_rng_state is True by default",
    references=(
        "https://docs.pytorch.org/docs/stable/checkpoint.html",
        "torch@2.13.0:torch/utils/checkpoint.py",
    ),
)
