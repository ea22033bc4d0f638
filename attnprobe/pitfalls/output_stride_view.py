"""Code that calls .view on the output runs with one kernel and raises with another.

**What happens.** "view size is not compatible with input tensor's size and stride" after an upgrade, on
another GPU, or with dropout, a head dim or a mask that brings another kernel.

**Why.** SDPA promises the shape of its output, not its strides. Fused kernels lay the output out as the
query lies, the math path as (B, H, M, K), and cuDNN in torch 2.5.0 in an order of its own. Heads can be
merged without a copy in the first case alone.

**Experiment.** The call with `.transpose(1, 2).view(B, M, -1)` behind it, and with `.reshape`.

**Remedy.** `.reshape` or `.flatten(2)`: a view where one is possible, else a copy.

**Versions.** All of torch. On the CPU of 2.13 the flash kernel follows the query.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "output-viewed"


def suspect(here: Situation) -> str | None:
    """Heads behind tokens in the query, or no fused kernel to follow it."""
    if not here.has(HABIT):
        return None
    case = here.case
    if case.layout not in ("BMHK", "packed-qkv"):
        return f"the query lies as {case.layout}, and so does the output behind which .view stands"
    bias = case.score.bias
    unfused = {
        f"K={case.K} and Kv={case.Kv} differ": case.Kv != case.K,
        "the mask wants a gradient": bias is not None and bias.requires_grad,
        f"dropout_p={case.dropout_p:g} on a CPU": bool(case.dropout_p) and not here.on_cuda,
        f"{here.backend} writes (B, H, M, K)": here.backend == "sdpa-math",
    }
    reasons = [reason for reason, holds in unfused.items() if holds]
    return (
        f"{reasons[0]}: another kernel may lay the output out in its own order" if reasons else None
    )


def predict(here: Situation) -> Prediction:
    """The strides do not allow it."""
    return Prediction(
        "refused",
        1,
        1,
        "an output in the order (B, H, M, K) has no view (B, M, H * K)",
        "view size",
    )


def experiment(here: Situation) -> Experiment:
    """One edit: how heads are merged."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP056",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="out.transpose(1, 2).reshape(B, M, H * K)",
    references=("pytorch#138340", "pytorch#138354"),
)
