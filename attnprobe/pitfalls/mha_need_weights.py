"""nn.MultiheadAttention makes the whole matrix of weights unless told not to.

**What happens.** `out, _ = mha(x, x, x)` takes memory that grows with the square of the length, and
no fused kernel runs, although the weights are thrown away.

**Why.** `need_weights=True` is the default. The weights can only be returned where they were made,
so the layer multiplies, takes the softmax and multiplies again instead of calling SDPA.

**Experiment.** The layer with `need_weights=False`.

**Remedy.** `need_weights=False` wherever the weights are not looked at.

**Versions.** All of torch; with `need_weights=False` SDPA is called since 2.0.
"""

from __future__ import annotations

import math

from attnprobe.core.case import ELEMENT_BYTES
from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

WORTH_SAYING = 1.2
"""Below this the scores are smaller than what the layer holds anyway: sequences of a few head dims."""


def suspect(here: Situation) -> str | None:
    """The weights are asked for, and they are large beside the layer's own tensors."""
    if here.backend != "mha-need-weights" or predict(here).low < WORTH_SAYING:
        return None
    case = here.case
    return f"{case.B * case.Hq} matrices of {case.Mq} x {case.Mkv} weights are made"


def predict(here: Situation) -> Prediction:
    """Score matrices over the tensors that the layer holds without them.

    With gradients three matrices are alive at once (the weights, their gradient, that of the scores)
    and on an H200 four, without two (scores, weights) or three. The layer's own: projections, output
    before and after its own projection, and gradients; a fused backward may hold half as much again
    as workspace.
    """
    case = here.case
    element = ELEMENT_BYTES[case.dtype]
    scores = element * math.prod(case.q_shape[:3]) * case.k_shape[2]
    queries, keys = (element * math.prod(shape) for shape in (case.q_shape, case.k_shape))
    matrices, own, least = (2, 2 * queries + 2 * keys, 2 * queries)
    if case.wants_backward:
        matrices, own, least = (3, 5 * queries + 4 * keys, 2 * queries + 2 * keys)
    low = (matrices * scores + least) / (1.5 * own)
    high = ((matrices + 1) * scores + own) / own
    said = f"{matrices} or {matrices + 1} score matrices beside the layer's own tensors"
    return Prediction("memory", low, high, said)


def experiment(here: Situation) -> Experiment:
    """One edit: who is asked for the weights."""
    return Experiment(here.arm(), here.arm("mha"))


PITFALL = Pitfall(
    code="AP067",
    severity="critical",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="out, _ = mha(x, x, x, need_weights=False)",
    references=(
        "torch@2.13.0:torch/nn/functional.py (multi_head_attention_forward)",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html",
    ),
)
