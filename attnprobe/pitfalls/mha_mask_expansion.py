"""nn.MultiheadAttention merges two masks into one float tensor for every head.

**What happens.** With `attn_mask` and `key_padding_mask` together memory grows with the square of
the length, even with `need_weights=False`; neither mask is large by itself.

**Why.** The layer turns both into floating point, expands the padding to every head and adds them:
a tensor of (B * H, M, M). The `is_causal` hint is dropped then, and flash kernels take no mask.

**Experiment.** The layer on full sequences, with the causal mask alone.

**Remedy.** A projection of one's own and `scaled_dot_product_attention` with one boolean mask of
(B, 1, M, M); or sequences packed without padding.

**Versions.** All of torch that call SDPA here (2.0 to 2.13).
"""

from __future__ import annotations

import math

from attnprobe.core.case import ELEMENT_BYTES
from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

WORTH_SAYING = 1.2
"""Below this the merged mask is smaller than what the layer holds anyway."""


def suspect(here: Situation) -> str | None:
    """Padded sequences, and a mask besides; the weights are another pitfall."""
    case = here.case
    both = case.lengths is not None and case.storage == "padded" and not case.mask.is_none
    if here.backend != "mha" or not both or predict(here).low < WORTH_SAYING:
        return None
    return f"padding and {case.mask.text} become one mask of {case.B * case.Hq} heads"


def predict(here: Situation) -> Prediction:
    """The merged mask over the tensors that the layer holds without it.

    Those are its projections, the output before and after its own projection, and the gradients of
    all; a fused backward may hold half as much again as workspace.
    """
    case = here.case
    element = ELEMENT_BYTES[case.dtype]
    merged = element * math.prod(case.q_shape[:3]) * case.k_shape[2]
    queries, keys = (element * math.prod(shape) for shape in (case.q_shape, case.k_shape))
    own = 5 * queries + 4 * keys if case.wants_backward else 2 * queries + 2 * keys
    return Prediction(
        "memory",
        1 + merged / (1.5 * own),
        1 + merged / own,
        "a float mask of (B * H, Mq, Mkv) beside the layer's own tensors",
    )


def experiment(here: Situation) -> Experiment:
    """One edit: no padding. The remedy keeps it, and lets SDPA broadcast one mask over the heads."""
    return Experiment(here.arm(), here.arm(lengths=None), here.arm("sdpa-default"))


PITFALL = Pitfall(
    code="AP069",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix=(
        "mask = causal & ~padding[:, None, None, :]  # bool, True: attend, (B, 1, M, M)\n"
        "F.scaled_dot_product_attention(q, k, v, attn_mask=mask)"
    ),
    references=("torch@2.13.0:torch/nn/functional.py (multi_head_attention_forward)",),
)
