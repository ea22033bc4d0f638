"""A model's soft cap is lost on the way to SDPA, which has none.

**What happens.** A model trained with capped logits (Gemma 2: 50) gets sharper attention than it was
trained with, wherever a logit comes near the cap. With small logits nobody notices.

**Why.** SDPA, xFormers and `varlen_attn` have no argument for `c * tanh(logit / c)`; xFormers passes
0.0 to flash-attn. flash-attn has `softcap` since 2.6, FlexAttention has `score_mod`.

**Experiment.** SDPA without the cap against the reference with it, on logits of deviation 36: the cap
changes a logit s by s^3 / (3 c^2), 0.0001 at s = 1 and c = 50 but 6 at s = 36, so ordinary random
inputs would show nothing in 16 bits. The control is attention written out; the fix is tried on GPUs, for
on a CPU compiling would take longer than the experiment.

**Remedy.** FlexAttention with a `score_mod`, compiled; flash-attn's `softcap`.

**Versions.** SDPA and xFormers: all; flash-attn before 2.6.
"""

from __future__ import annotations

import math

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "softcap-dropped"
DEVIATION = 36.0
"""Of the logits of the family large-logits (device/inputs.py) at the usual scale."""


def suspect(here: Situation) -> str | None:
    """A cap, and a library that has no word for it."""
    cap = here.case.score.softcap
    if cap is not None and (here.has(HABIT) or here.calls("sdpa", "xformers", "varlen", "mha")):
        return f"logits are capped at {cap:g}, and {here.backend} has no argument for that"
    return None


def predict(here: Situation) -> Prediction:
    """What the cap takes from a logit of one deviation."""
    cap = here.case.score.softcap or math.inf
    logit = DEVIATION * here.case.scale * math.sqrt(here.case.K)
    taken = logit - cap * math.tanh(logit / cap)
    return Prediction("wrong", 1, 1, f"the cap takes {taken:.3g} from a logit of {logit:.3g}")


def experiment(here: Situation) -> Experiment:
    """One edit: who computes, with the cap or without. The fix is tried where it compiles quickly."""
    names = (f"written/{HABIT}", "eager", "flex")[: 3 if here.on_cuda else 2]
    return Experiment(*(here.arm(name, family="large-logits") for name in names))


PITFALL = Pitfall(
    code="AP014",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="flex = torch.compile(flex_attention)\n"
    "flex(q, k, v, score_mod=lambda s, b, h, i, j: cap * torch.tanh(s / cap))",
    references=(
        "transformers#31887",
        "xformers@0.0.35:xformers/ops/fmha/flash.py",
        "torch@2.13.0:torch/nn/functional.py",
        "arXiv:2408.00118, section 2",
    ),
)
