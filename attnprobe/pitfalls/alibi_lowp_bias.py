"""ALiBi kept in bfloat16 merges distances beyond 256.

**What happens.** In a float32 model outputs are off by 1e-4 of their size from 257 keys on: a hundred
times what float32 arithmetic does, hardly what a reader of the text would see.

**Why.** bfloat16 has 8 significant bits: of 8192 distances 897 values remain. But a weight falls with
the distance; where distances merge, at slope 2^-8, it is down to exp(-1), and it changes by 0.4%.

**Experiment.** The call with the bias rounded to bfloat16 against the float64 reference; the same call
with the bias in float32.

**Remedy.** Make the bias in float32 (SDPA takes a float32 mask with 16-bit queries), or from slopes: a
`score_mod`, flash-attn's `alibi_slopes`, which must be float32.

**Versions.** All. The catalogue expected a loss of quality in long contexts of 16-bit models. That was
refuted: there the error stays within the rounding of the output, so only float32 models are suspected.
"""

from __future__ import annotations

import math

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "alibi-kept-in-bfloat16"
EXACT = 256
"""The integers that 8 significant bits hold without a gap."""


def suspect(here: Situation) -> str | None:
    """Distances beyond 256 in float32; 16 bits round the output by more."""
    case = here.case
    if here.has(HABIT) and case.score.alibi and case.dtype == "float32" and case.Mkv > EXACT + 1:
        return f"{case.Mkv} distances are kept in bfloat16"
    return None


def predict(here: Situation) -> Prediction:
    """Integers of n bits have n - 8 low bits fewer: 128 values for each power of two beyond 256."""
    longest = here.case.Mkv - 1
    power = int(math.log2(longest))
    left = EXACT + 128 * (power - 8) + round((longest - 2**power) / 2 ** (power - 7)) + 1
    because = f"{left} of {longest + 1} distances are left; float32 resolves an error of 1e-6"
    return Prediction("wrong", 1, 1, because)


def experiment(here: Situation) -> Experiment:
    """One edit: the precision of the bias."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm("sdpa-default"))


PITFALL = Pitfall(
    code="AP029",
    severity="low",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="flex_attention(q, k, v, score_mod=lambda s, b, h, i, j: s + slopes[h] * (j - i))",
    references=(
        "arXiv:2108.12409",
        "Dao-AILab/flash-attention README, 2.4: alibi_slopes, fp32",
    ),
)
