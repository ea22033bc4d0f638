"""The math kernel computes 16-bit inputs in float32, with twice the memory of the naive code.

**What happens.** The path that was taken as a plain reference runs out of memory earlier than
hand-written attention in the same type, and is slower.

**Why.** Since torch 2.5 the math kernel raises float16 and bfloat16 inputs to float32 for accuracy:
scores, probabilities and their gradients all have 4 bytes.

**Experiment.** The call against the same with `allow_fp16_bf16_reduction_math_sdp(True)`.

**Remedy.** Let SDPA choose a fused kernel. Where math it must be and its accuracy is not the point,
allow reductions in 16 bits.

**Versions.** torch from 2.5.
"""

from __future__ import annotations

from attnprobe.core import cost, units
from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _dispatch

HABIT = "math-in-16-bits"


def suspect(here: Situation) -> str | None:
    """Who selects math for 16-bit inputs, and scores that weigh much more than what is asked for."""
    case, scores = here.case, cost.score_bytes(here.case)
    if not here.calls("sdpa-math") or case.dtype not in _dispatch.HALF or here.has(HABIT):
        return None
    if (0,) < here.release("torch") < (2, 5) or scores < 4 * cost.floor_bytes(case):
        return None
    return f"math raises {case.dtype} to float32: {units.size(scores)} for each matrix of scores"


def predict(here: Situation) -> Prediction:
    """Bytes of a score, less what is float32 or 16-bit in both."""
    return Prediction(
        "memory", 1.5, 2.2, "4 bytes a score instead of 2; outputs and gradients equal"
    )


def experiment(here: Situation) -> Experiment:
    """One edit: whether math may stay in 16 bits. What is advised is to leave math."""
    return Experiment(here.arm(), here.arm(f"written/{HABIT}"), here.arm("sdpa-default"))


PITFALL = Pitfall(
    code="AP032",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="F.scaled_dot_product_attention(q, k, v)  # without sdpa_kernel(MATH)\n"
    "torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)  # where math it must be",
    references=("pytorch#128922", "pytorch#135964"),
)
