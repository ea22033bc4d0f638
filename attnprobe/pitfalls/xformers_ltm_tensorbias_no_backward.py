"""xFormers' triangular mask with a tensor bias cannot be trained with.

**What happens.** `LowerTriangularMask().add_bias(bias)` imports, builds and prints; the call raises
NotImplementedError, in training always. With 0.0.35 on an H200 it raised in a forward alone too.

**Why.** CUTLASS's forward lists the class, its backward has it commented out, flash refuses it. The
backward operator is chosen in the forward, so that is where it raises. The bias inside the class would
get no gradient either: autograd sees tensors among the arguments, not in a mask object.

**Experiment.** The class against one tensor that holds the bias and -inf above the diagonal.

**Remedy.** That tensor, its rows padded to a multiple of 8; or flex_attention with the bias as
`score_mod` and a causal BlockMask, which skips the masked tiles too.

**Versions.** xFormers 0.0.20 to 0.0.35.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "xformers-triangular-bias"
SAID = "attn_bias type|No operator found|not supported"


def suspect(here: Situation) -> str | None:
    """The habit; or a forward with triangle and bias, for which xFormers' best form is this class."""
    case = here.case
    causal = case.mask.is_causal and (case.mask.align == "top-left" or case.Mq == case.Mkv)
    biased = causal and case.score.bias is not None and case.lengths is None
    if not here.on_cuda or not here.calls("xformers") or not biased:
        return None
    if here.has(HABIT) or (case.passes == "fwd" and case.mask_form == "best"):
        return "attn_bias is a LowerTriangularMaskWithTensorBias"
    return None


def predict(here: Situation) -> Prediction:
    """No operator takes it."""
    return Prediction("refused", 1, 1, "no backward operator lists the class", SAID)


def experiment(here: Situation) -> Experiment:
    """One edit: the class or a tensor."""
    if here.has(HABIT):
        return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))
    return Experiment(here.arm(), here.arm(mask_form="dense-float"))


PITFALL = Pitfall(
    code="AP094",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="bias = bias.masked_fill(torch.ones(M, M, device=q.device).triu(1).bool(), -torch.inf)\n"
    "xops.memory_efficient_attention(q, k, v, attn_bias=bias)  # (B, H, M, M), rows of 8 * n",
    references=("xformers#783", "xformers@0.0.35:xformers/ops/fmha/cutlass.py (BwOp)"),
)
