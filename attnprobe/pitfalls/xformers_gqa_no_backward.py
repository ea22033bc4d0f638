"""xFormers' five-dimensional grouped heads have no backward.

**What happens.** Evaluation works; the first training step raises `operator does not support BMGHK
format`, or no operator is found for the backward.

**Why.** `SUPPORTS_BMGHK` is set for forward operators only: no backward sums gradients over the
heads of a group.

**Experiment.** Forward and backward in (B, M, G, H, K); the same with keys and values repeated, in
four dimensions.

**Remedy.** Repeat the keys (`repeat_interleave`) for training, or SDPA with `enable_gqa=True`,
whose flash kernels share the heads in both passes.

**Versions.** xFormers 0.0.35 and, as its documentation says, all releases with this format.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "xformers-five-dims"


def suspect(here: Situation) -> str | None:
    """Several query heads per key head and a gradient."""
    if here.has(HABIT) and here.calls("xformers") and here.case.wants_backward:
        return f"{here.case.groups} query heads per key head in five dimensions, with gradients"
    return None


def predict(here: Situation) -> Prediction:
    """Seen or not."""
    return Prediction(
        "refused",
        1,
        1,
        "no backward operator of xFormers has SUPPORTS_BMGHK",
        of="operator does not support BMGHK",
    )


def experiment(here: Situation) -> Experiment:
    """One edit: how the heads are handed over."""
    return Experiment(here.small(f"written/{HABIT}"), here.small(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP098",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="F.scaled_dot_product_attention(q, k, v, enable_gqa=True)  # (B, H, M, K)\n"
    "k4 = k.repeat_interleave(G, dim=2)  # or four dimensions for xFormers, (B, M, H, K)",
    references=(
        "xformers@0.0.35:xformers/ops/fmha/__init__.py (memory_efficient_attention)",
        "xformers@0.0.35:xformers/ops/fmha/common.py (AttentionOpBase.SUPPORTS_BMGHK)",
    ),
)
