"""Attention written out in 16 bits rounds twice as much, and overflows in float16.

**What happens.** `(q @ k.T * scale).softmax(-1) @ v` is two to three times noisier than SDPA, ten times
with large logits; in float16 it gives NaN for queries and keys that SDPA takes without complaint.

**Why.** Scores, scaled scores and probabilities are tensors in 16 bits. A rounded logit s multiplies its
weight by exp(u s): with logits of deviation 1 that is the largest error of all. The product before
scaling is sqrt(K) times larger than a logit, and float16 ends at 65504. Kernels keep scores in float32.

**Experiment.** In bfloat16 the error against float64, root mean square in roundoffs; in float16 the rows
lost once q and k are 64 times as large. The same of SDPA. Inputs are normal numbers and there is no
mask, whatever the call's are: for these the model is exact.

**Remedy.** SDPA; where scores are needed, `torch.matmul(q * scale, k.mT).float().softmax(-1)`.

**Versions.** All. CPU autocast keeps the softmax in bfloat16, CUDA autocast takes float32 for it.
"""

from __future__ import annotations

import math

from attnprobe.core.case import Case
from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.core.mask import NONE
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "softmax-by-hand"
ROUNDING = 0.42
"""Root mean square of one rounding's relative error in units of u: sqrt(3 / (8 ln 2) / 3), for numbers
whose logarithms are evenly spread."""
LARGEST = 65504.0
STRESS = 64.0
"""As in device/habits/softmax_by_hand.py."""


def suspect(here: Situation) -> str | None:
    """16 bits; a soft cap has no place in SDPA, so there writing it out is no habit.

    With a handful of keys the largest weight is near 1, and a rounded logit changes little.
    """
    case = here.case
    by_hand = (here.has(HABIT) or here.calls("eager")) and case.score.softcap is None
    if by_hand and case.dtype in ("float16", "bfloat16") and case.Mkv >= 32:
        return f"scores and probabilities are stored in {case.dtype}"
    return None


def predict(here: Situation) -> Prediction:
    """float16 by its range, bfloat16 by its roundings."""
    return _lost(here.case) if here.case.dtype == "float16" else _error(here.case)


def _error(case: Case) -> Prediction:
    """Roundings of P and of the output, and of logits of deviation 1, weighted as their keys are.

    Under the weights w^2 of a sum's variance the logits have mean 2 and E[s^2] = 5; a scale that is a
    power of two rounds nothing.
    """
    roundings = 1 if math.log2(case.K) % 2 == 0 else 2
    model = ROUNDING * math.sqrt(2 + 5 * roundings)
    fused = ROUNDING * math.sqrt(2)
    because = f"{roundings} roundings of each logit; SDPA should have {fused:.2g}"
    return Prediction("value", 0.8 * model, 1.25 * model, because, "error")


def _lost(case: Case) -> Prediction:
    """A row is NaN where one of its products exceeds the range: they deviate by STRESS^2 sqrt(K)."""
    beyond = math.erfc(LARGEST / (STRESS**2 * math.sqrt(case.K)) / math.sqrt(2)) / 2
    share = 1 - (1 - beyond) ** case.Mkv
    because = f"a product of q and k exceeds {LARGEST:g} with probability {beyond:.2g}"
    return Prediction("value", 0.75 * share, min(1.0, 1.25 * share), because, "lost")


def experiment(here: Situation) -> Experiment:
    """One edit: who computes."""
    inputs = {"family": "normal", "mask": NONE, "lengths": None}
    sides = (here.arm(f"{side}/{HABIT}", **inputs) for side in ("written", "mended"))
    return Experiment(*sides)


PITFALL = Pitfall(
    code="AP030",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="F.scaled_dot_product_attention(q, k, v)",
    references=(
        "torch@2.13.0:aten/src/ATen/native/transformers/attention.cpp",
        "arXiv:2307.08691, algorithm 1",
    ),
)
