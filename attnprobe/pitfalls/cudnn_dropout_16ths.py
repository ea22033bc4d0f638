"""A dropout probability that is no multiple of 1/16 keeps cuDNN's kernel away.

**What happens.** With dropout_p=0.1 another kernel runs than without dropout or with 0.125: other speed,
other random numbers, another memory peak.

**Why.** cuDNN resolves the probability in sixteenths, and torch does not offer it others.

**Experiment.** The same call with the nearest sixteenth; which kernel runs is compared.

**Remedy.** Such a probability, if speed is what matters. Look at `attnprobe check` first: cuDNN 9.19
drops the same keys for four queries of eight, flash draws for each of them.

**Versions.** torch 2.12 and later (pytorch#174245), where it takes cuDNN by itself: compute capability
9.0 and 10.0. Torch 2.11 was seen to take cuDNN with 0.1 on an H200; that request says that some of its
kernels then round the probability.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _dispatch

STEPS = 16
REFUSED = (2, 12)
"""The first torch that refuses other probabilities: pytorch#174245 is of February 2026."""


def suspect(here: Situation) -> str | None:
    """Only where cuDNN would run otherwise."""
    p = here.case.dropout_p
    if here.release("torch") < REFUSED:
        return None
    if here.backend != "sdpa-default" or not p or (p * STEPS).is_integer() or not _runs(here):
        return None
    return f"dropout_p={p:g} is {p * STEPS:.3g} sixteenths, and cuDNN is what runs otherwise"


def predict(here: Situation) -> Prediction:
    """The next one in torch's order."""
    because = "check_cudnn_dropout refuses it, and flash is next in torch's order"
    return Prediction("kernel", 1, 1, because, of="FLASH_ATTENTION")


def experiment(here: Situation) -> Experiment:
    """One edit: the probability."""
    return Experiment(here.arm(), here.arm(dropout_p=_nearest(here)))


def _nearest(here: Situation) -> float:
    return max(1, round(here.case.dropout_p * STEPS)) / STEPS


def _runs(here: Situation) -> bool:
    return _dispatch.cudnn_runs(here) and not _dispatch.has_mask_tensor(here.case)


PITFALL = Pitfall(
    code="AP066",
    severity="low",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix=lambda here: f"F.scaled_dot_product_attention(q, k, v, dropout_p={_nearest(here):g})",
    references=(
        "pytorch#174245",
        "torch@2.13.0:aten/src/ATen/native/transformers/cuda/sdp_utils.cpp (check_cudnn_dropout)",
    ),
)
