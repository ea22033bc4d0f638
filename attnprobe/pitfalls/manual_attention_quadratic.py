"""softmax(q @ k.T) @ v written out holds every score in memory.

**What happens.** Memory grows with the square of the length: training runs out of it at lengths that
others train, and time goes into reading and writing scores.

**Why.** Each line is a kernel of its own: the scores, their scaled copy, the probabilities and, in the
backward, both their gradients are tensors of B * Hq * Mq * Mkv elements. A fused kernel holds a tile of
them and recomputes it in the backward.

**Experiment.** The same call through `scaled_dot_product_attention`.

**Remedy.** Call that. Where the scores are changed on the way, FlexAttention takes the change as a
function; where the weights themselves are wanted, ask for them outside of training.

**Versions.** All: this is code around the call.
"""

from __future__ import annotations

import math

from attnprobe.core import cost
from attnprobe.core.case import ELEMENT_BYTES
from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _scores
from attnprobe.pitfalls._grid import DECODING

MATRICES = {"fwd": (2, 3), "bwd": (2, 5), "fwd+bwd": (2, 5)}
"""Score matrices at once, in the inputs' type. Forward: scores and their scaled copy, then
probabilities; backward: probabilities and the gradients of each of the three. 520 MiB at B2 H8
M2048 K64 in bfloat16 (H200) are four of 128 MiB."""
FUSED = 2.5
"""Memory of a fused kernel over the outputs and gradients, at most: 33 for 16 MiB (flash, same
case)."""


def suspect(here: Situation) -> str | None:
    """Written out, more than a step of decoding, and the scores outweigh everything else."""
    case = here.case
    if here.backend != "eager" or case.Mq <= DECODING or _low(here) < _scores.MATTERS:
        return None
    return f"{case.Hq * case.B} score matrices of {case.Mq} x {case.Mkv} are tensors in memory"


def predict(here: Situation) -> Prediction:
    """Bytes of the score matrices over bytes of outputs and gradients."""
    fewest, most = MATRICES[here.case.passes]
    high = 1 + most * _matrix(here) / cost.floor_bytes(here.case)
    because = f"{fewest} to {most} score matrices beside outputs and gradients"
    return Prediction("memory", _low(here), high, because)


def experiment(here: Situation) -> Experiment:
    """One edit: who computes it; SDPA has no word for a soft cap, flex has."""
    capped = here.case.score.softcap is not None
    return Experiment(here.arm(), here.arm("flex" if capped else "sdpa-default"))


def _low(here: Situation) -> float:
    fewest, floor = MATRICES[here.case.passes][0], cost.floor_bytes(here.case)
    return (fewest * _matrix(here) + floor) / (FUSED * floor)


def _matrix(here: Situation) -> int:
    case = here.case
    return math.prod(case.q_shape[:3]) * case.k_shape[2] * ELEMENT_BYTES[case.dtype]


PITFALL = Pitfall(
    code="AP070",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="out = F.scaled_dot_product_attention(q, k, v, is_causal=True)",
    references=("arXiv:2205.14135", "torch@2.13.0:torch/nn/functional.py"),
)
