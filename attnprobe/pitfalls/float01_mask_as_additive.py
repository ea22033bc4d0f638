"""A float mask of 0 and 1 is added to the logits: it does not mask.

**What happens.** Padding and future leak, weakened by a factor e at most; results depend on how much
padding there is. Nothing warns.

**Why.** A floating-point mask is a bias. 1 and 0 shift a logit by at most 1, where -inf is what
forbids. A tokenizer's attention mask cast to the model's dtype is such a mask; a captured float mask
that holds 0 and 1 alone is taken for one.

**Experiment.** The call with the numbers against the reference; the same call with booleans.

**Remedy.** `mask.bool()`.

**Versions.** All of torch; xFormers' tensor bias and nn.MultiheadAttention's float masks alike.
"""

from __future__ import annotations

import math

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _masks

HABIT = "mask-as-numbers"


def suspect(here: Situation) -> str | None:
    """Only a mask that is handed over as a tensor can have the wrong type."""
    bias = here.case.score.bias
    boolean = bias is not None and bias.forbids and here.case.mask_form == "dense-bool"
    plain = here.case.score.is_plain and here.case.mask_form != "dense-float"
    if here.has(HABIT) and (boolean or (plain and _masks.is_tensor(here.case))):
        return "the mask is a tensor of 0 and 1 in floating point"
    return None


def predict(here: Situation) -> Prediction:
    """Forbidden keys keep weight 1 for the e of the others."""
    share = 1 / (1 + math.e)
    because = (
        f"of as many forbidden keys as allowed, {share:.0%} of the weight goes to the forbidden"
    )
    return Prediction("wrong", 1, 1, because)


def experiment(here: Situation) -> Experiment:
    """One edit: the type of the mask."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm("sdpa-default"))


PITFALL = Pitfall(
    code="AP006",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="attn_mask = attention_mask[:, None, None, :].bool()",
    references=("torch@2.13.0:torch/nn/functional.py",),
)
