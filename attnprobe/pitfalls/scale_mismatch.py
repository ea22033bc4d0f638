"""Logits are scaled twice, or by the size of a padded head.

**What happens.** Attention is far too flat where q was multiplied by K ** -0.5 before the call, and
slightly too flat where head dims were padded with zeros. Nothing warns; a model trained elsewhere
loses quality.

**Why.** SDPA, xFormers, flash-attn and FlexAttention all multiply by K ** -0.5 unless told otherwise,
and K is the last dimension of what they are given.

**Experiment.** The call as it is written against the reference with the scale that is meant; the same
call with that scale alone.

**Remedy.** Leave q as it is and pass `scale=`; with padding, that of the head dim before it.

**Versions.** All; SDPA takes `scale` since torch 2.1.
"""

from __future__ import annotations

import math

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

TWICE, PADDED = "query-prescaled", "head-dim-padded"


def _scale(here: Situation) -> tuple[str, float]:
    """The habit, and the scale that it comes to."""
    case = here.case
    if here.has(TWICE):
        return TWICE, case.scale * case.K**-0.5
    if here.has(PADDED) and case.score.scale is None:
        return PADDED, (case.K + -case.K % 8) ** -0.5
    return "", case.scale


def suspect(here: Situation) -> str | None:
    """Whatever makes another scale than the one that is meant."""
    habit, found = _scale(here)
    if math.isclose(found, here.case.scale):
        return None
    done = "q is scaled before the call" if habit == TWICE else f"K={here.case.K} is padded"
    return f"{done}: the scale is {found:.4g}, meant is {here.case.scale:.4g}"


def predict(here: Situation) -> Prediction:
    """Logits are a constant factor too small."""
    factor = here.case.scale / _scale(here)[1]
    return Prediction("wrong", 1, 1, f"logits are {factor:.3g} times too small")


def experiment(here: Situation) -> Experiment:
    """One edit: who scales."""
    return Experiment(here.arm(f"written/{_scale(here)[0]}"), here.arm("sdpa-default"))


PITFALL = Pitfall(
    code="AP012",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="F.scaled_dot_product_attention(q, k, v, scale=head_dim**-0.5)  # head_dim before padding",
    references=(
        "torch@2.13.0:torch/nn/functional.py",
        "torch@2.13.0:torch/nn/attention/_utils.py",
    ),
)
