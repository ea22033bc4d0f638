"""q, k and v of three dimensions silently run unfused.

**What happens.** Attention on tensors of (B * H, M, K), heads folded into the batch, takes memory for
all scores and several times as long; no warning is given, and the result is right.

**Why.** Every fused kernel of SDPA asks for exactly four dimensions before it looks at anything else.
What is left is the math kernel.

**Experiment.** The call on folded tensors against the same call on (B, H, M, K).

**Remedy.** Give SDPA four dimensions: `unflatten` is a view, and so is `unsqueeze(0)`.

**Versions.** The check is in every release that was read; torch 2.11 (CUDA) and 2.13 (CPU) were tried.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _scores

HABIT = "heads-folded"


def suspect(here: Situation) -> str | None:
    """With grouped heads there is no such call; a few short rows are no loss."""
    case = here.case
    if not here.has(HABIT) or case.groups > 1 or predict(here).low < _scores.MATTERS:
        return None
    return f"q is ({case.B * case.Hq}, {case.Mq}, {case.K}): three dimensions, no fused kernel"


def predict(here: Situation) -> Prediction:
    """Math against fused."""
    return _scores.unfused(here, here.case)


def experiment(here: Situation) -> Experiment:
    """One edit: who gives the tensors their shape."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm("sdpa-default"))


def fix(here: Situation) -> str:
    """The view, with the numbers of the call."""
    return (
        f"q, k, v = (t.unflatten(0, ({here.case.B}, {here.case.Hq})) for t in (q, k, v))\n"
        "out = F.scaled_dot_product_attention(q, k, v).flatten(0, 1)"
    )


PITFALL = Pitfall(
    code="AP041",
    severity="critical",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix=fix,
    references=(
        "torch@2.13.0:aten/src/ATen/native/transformers/sdp_utils_cpp.h (check_tensor_shapes)",
    ),
)
