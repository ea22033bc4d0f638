"""A loss of the log-sum-exp that a kernel returns trains nothing.

**What happens.** A z-loss, an attention sink or an indexer that uses the returned log-sum-exp stays as
it is; the gradient is zero and nothing says so.

**Why.** The backward of varlen_attn is handed the gradient of the log-sum-exp and uses that of the
output alone. flash-attn's and xFormers' log-sum-exp are outside of autograd too.

**Experiment.** The gradient of `lse.sum()` for q from varlen_attn, and from `torch.logsumexp`, over the
true one.

**Remedy.** FlexAttention's `return_aux=AuxRequest(lse=True)`, or the log-sum-exp computed in torch.

**Versions.** torch's varlen_attn up to 2.13, flash-attn 2, xFormers.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "lse-loss"


def suspect(here: Situation) -> str | None:
    """A backward through varlen_attn or flash-attn."""
    case = here.case
    if not here.on_cuda or not here.has(HABIT) or not case.wants_backward or "q" not in case.grads:
        return None
    if here.calls("varlen", "flash-attn") and case.score.is_plain:
        return f"a loss is taken of the log-sum-exp, and {here.backend} does not differentiate it"
    return None


def predict(here: Situation) -> Prediction:
    """Exactly nothing arrives."""
    why = "_backward(ctx, grad_out, grad_lse, grad_rng) uses grad_out alone"
    return Prediction("value", 0, 0, why, "share of the gradient that arrives")


def experiment(here: Situation) -> Experiment:
    """One edit: who computes the log-sum-exp."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP016",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="out, aux = flex_attention(q, k, v, return_aux=AuxRequest(lse=True))  # aux.lse has a gradient",
    references=("torch@2.13.0:torch/nn/attention/varlen.py", "flash-attention#141"),
)
