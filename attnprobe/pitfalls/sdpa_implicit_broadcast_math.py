"""One key head that is left to broadcast over all query heads runs unfused.

**What happens.** Multi-query attention with k of (B, 1, M, K) and q of (B, H, M, K) gives the right
result and takes memory for all scores, although flash is enabled and would take the call.

**Why.** SDPA's fused kernels ask for equal numbers of heads unless `enable_gqa` says that keys are
shared; a dimension of 1 does not count as one that broadcasts. The math kernel multiplies matrices,
and those broadcast.

**Experiment.** The call as written against the same with K and V expanded to all heads, stride 0, no
copy.

**Remedy.** `enable_gqa=True`, or `expand`.

**Versions.** torch 2.11 (CUDA) and 2.13 (CPU) were tried; a change of July 2026 lets the fused kernels
take it.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _scores

HABIT = "heads-broadcast"


def suspect(here: Situation) -> str | None:
    """One key head and several query heads, said by their shapes alone."""
    case = here.case
    if not here.has(HABIT) or not case.Hkv == 1 < case.Hq or predict(here).low < _scores.MATTERS:
        return None
    return f"k and v have 1 head, q has {case.Hq}, and enable_gqa is not said"


def predict(here: Situation) -> Prediction:
    """Math against fused; the gradients of expanded K and V are held for all heads."""
    return _scores.unfused(here, here.case.edit(Hkv=here.case.Hq))


def experiment(here: Situation) -> Experiment:
    """One edit: who makes the heads equal."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP043",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="F.scaled_dot_product_attention(q, k.expand(-1, q.size(1), -1, -1), v.expand(-1, q.size(1), "
    "-1, -1))  # or enable_gqa=True",
    references=("pytorch#154363", "pytorch#191085"),
)
