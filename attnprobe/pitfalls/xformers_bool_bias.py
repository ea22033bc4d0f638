"""xFormers fails on a boolean mask with a cryptic TypeError.

**What happens.** `torch.finfo() requires a floating point input type`, from deep within xFormers,
where SDPA takes the same mask.

**Why.** The check of the bias' alignment asks for the size of its floating-point type before
anything has asked whether it has one.

**Experiment.** A boolean tensor; the same mask as 0 and -inf.

**Remedy.** A mask class where there is one, else 0 and -inf in the dtype of the queries. Mind the
polarity: True means attend in SDPA and ignore in `nn.MultiheadAttention`.

**Versions.** xFormers up to 0.0.35; other words before 0.0.18.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "xformers-bool-bias"


def suspect(here: Situation) -> str | None:
    """The case says so, or the code around the call."""
    said = here.has(HABIT) or here.case.mask_form == "dense-bool"
    if here.calls("xformers") and said and here.case.score.is_plain:
        return "the mask is a boolean tensor"
    return None


def predict(here: Situation) -> Prediction:
    """Seen or not."""
    return Prediction(
        "refused",
        1,
        1,
        "the alignment check asks torch.finfo of a boolean type",
        of="torch.finfo",
    )


def experiment(here: Situation) -> Experiment:
    """One edit: the dtype of the mask."""
    tensor = {"mask_form": "dense-bool"}
    return Experiment(
        here.small(f"written/{HABIT}", **tensor), here.small(f"mended/{HABIT}", **tensor)
    )


PITFALL = Pitfall(
    code="AP097",
    severity="low",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="bias = torch.zeros_like(mask, dtype=q.dtype).masked_fill(~mask, float('-inf'))",
    references=(
        "xformers#683",
        "xformers@0.0.35:xformers/ops/fmha/cutlass.py (_check_bias_alignment)",
    ),
)
