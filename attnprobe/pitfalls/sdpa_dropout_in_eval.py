"""The functional call drops in eval mode too: it knows no module.

**What happens.** Validation is noisy and worse than it should be; two evaluations of one input differ.

**Why.** `dropout_p` of SDPA (`p` of xFormers, `dropout_p` of flash-attn) is applied whenever it is not
0. Only modules look at `training`, and a module that passes `self.dropout` on does not.

**Experiment.** The same forward twice with `dropout_p`, and twice without: how far the two outputs lie
apart, relative to the output. With independent values of mean 0 that is sqrt(2 p / (1 - p)), however
many keys there are.

**Remedy.** `dropout_p=self.p if self.training else 0.0`.

**Versions.** All.
"""

from __future__ import annotations

import math

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall, Untestable
from attnprobe.diagnosis.situation import Situation

HABIT = "dropout-in-eval"
BIASED = ("uniform", "cancelling")
"""Families whose values have a mean, or cancel: there the model gives a bound alone."""


def suspect(here: Situation) -> str | None:
    """Modules look at their mode themselves."""
    if here.case.dropout_p and here.has(HABIT) and not here.calls("mha"):
        return f"dropout_p={here.case.dropout_p:g} in a module that is in eval mode"
    return None


def predict(here: Situation) -> Prediction:
    """Var of a dropped sum of w v is p / (1 - p) sum of w^2 v^2, and twice that of a difference.

    The margin is three standard errors of as many rows as there are, and 5% for a kernel that rounds
    `dropout_p`.
    """
    case = here.case
    apart = math.sqrt(2 * case.dropout_p / (1 - case.dropout_p))
    because = f"sqrt(2 p / (1 - p)) with p = {case.dropout_p:g}"
    if case.family in BIASED:
        return Prediction("value", apart / math.sqrt(case.Mkv), math.inf, because, "apart")
    margin = min(0.9, 0.05 + 3 / math.sqrt(2 * case.B * case.Hq * case.Mq))
    return Prediction("value", apart * (1 - margin), apart * (1 + margin), because, "apart")


def experiment(here: Situation) -> Experiment | Untestable:
    """One edit: `dropout_p` follows the mode."""
    if not here.calls("sdpa"):
        return Untestable(
            f"the demonstration calls SDPA; one input evaluated twice with {here.backend} would show it"
        )
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP011",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="F.scaled_dot_product_attention(q, k, v, dropout_p=self.p if self.training else 0.0)",
    references=("torch@2.13.0:torch/nn/functional.py",),
)
