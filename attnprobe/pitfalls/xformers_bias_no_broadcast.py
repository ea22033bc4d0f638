"""xFormers broadcasts neither a tensor bias nor heads.

**What happens.** `Invalid shape for attention bias` with a bias of (1, H, M, N), or `Incompatible
shapes` with fewer key heads than query heads: what SDPA takes is refused.

**Why.** Shapes are compared before anything else, and every dimension must be there. An expanded
view costs no memory.

**Experiment.** The bias as it is; the same memory expanded to (B, H, Mq, Mkv).

**Remedy.** `.expand(B, H, Mq, Mkv)`, which copies nothing; for heads `.expand` over a fifth
dimension.

**Versions.** xFormers from 0.0.21 on; before it a missing batch dimension was accepted.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "xformers-unexpanded-bias"


def suspect(here: Situation) -> str | None:
    """A dimension of 1 where there are several; one sequence and one head need no broadcast."""
    bias, case = here.case.score.bias, here.case
    if not (here.has(HABIT) and here.calls("xformers")):
        return None
    shape = case.bias_shape if bias is not None else (1, 1, case.Mq, case.Mkv)
    wanted = (case.B, case.Hq, case.Mq, case.Mkv)
    return None if shape == wanted else f"the tensor is {shape}, not {wanted}"


def predict(here: Situation) -> Prediction:
    """Seen or not."""
    return Prediction(
        "refused",
        1,
        1,
        "xFormers compares the shape with (B, H, Mq, Mkv)",
        of="Invalid shape for attention bias",
    )


def experiment(here: Situation) -> Experiment:
    """One edit: the view of the bias."""
    tensor = {"mask_form": "dense-float", "B": min(here.case.B, 2)}
    return Experiment(
        here.small(f"written/{HABIT}", **tensor), here.small(f"mended/{HABIT}", **tensor)
    )


PITFALL = Pitfall(
    code="AP096",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="xops.memory_efficient_attention(q, k, v, attn_bias=bias.expand(B, H, Mq, Mkv))",
    references=(
        "vllm-project/vllm#834",
        "xformers@0.0.35:xformers/ops/fmha/common.py (Inputs.validate_inputs)",
    ),
)
