"""A bias that requires a gradient costs a gradient of the size of all scores.

**What happens.** Peak memory jumps by B * Hq * Mq * Mkv elements, backward slows down, and the fastest
kernels refuse the call. Often nobody learns the bias: it was made from a parameter, or carries a graph
that a `detach` would have ended.

**Why.** The gradient of an added tensor is dS itself, the one matrix that fused kernels exist to
avoid: they have to write it out, before broadcast dimensions are summed. cuDNN and flash have no such
output. CUTLASS's kernel (SDPA's memory-efficient one, xFormers') has; on the CPU no fused kernel has,
and SDPA takes the math kernel.

**Experiment.** The same call whose bias wants no gradient.

**Remedy.** `bias.detach()` where nothing learns it. Where something does: keep what is learned small
(a table per head and distance) and read it in a `score_mod` of flex_attention, which sums the gradient
into the table; a bias that is really learned in all dimensions has this price everywhere.

**Versions.** All of torch and xFormers; torch 2.11 and 2.13 and xFormers 0.0.35 were tried.
"""

from __future__ import annotations

import math
from dataclasses import replace

from attnprobe.core.case import ELEMENT_BYTES, Case
from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _scores

WRITES_IT_OUT = ("sdpa-default", "sdpa-mem-efficient", "xformers-default", "xformers-cutlass")
REFUSES = {True: "sdpa-cudnn", False: "sdpa-flash"}
"""Who takes a bias on a GPU (True) or a CPU, and refuses one that wants a gradient."""


def suspect(here: Situation) -> str | None:
    """Where the scores are in memory anyway, the gradient of the bias is one more matrix among four.

    On a CPU there is nothing better for a bias that is really learned.
    """
    case, refuses = here.case, _refuses(here)
    if not case.wants_bias_grad or not (refuses or here.backend in WRITES_IT_OUT):
        return None
    hopeless = here.subject.needs.bias_grad and not here.on_cuda
    if not refuses and (hopeless or predict(here).low < _scores.MATTERS):
        return None
    full = case.B * case.Hq * case.Mq * case.Mkv
    return f"attn_mask.requires_grad: its gradient has B * Hq * Mq * Mkv = {full:,} elements"


def predict(here: Situation) -> Prediction:
    """On a GPU the written-out gradient; on a CPU the scores of the math kernel."""
    case, without = here.case, _without(here.case)
    if _refuses(here):
        return Prediction("refused", 1, 1, "it has no output for that gradient", "gradient for")
    if not here.on_cuda:
        return _scores.unfused(here, without)
    bias, own = case.score.bias, math.prod(case.bias_shape or ())
    size = ELEMENT_BYTES[(bias and bias.dtype) or case.dtype]
    full = case.B * case.Hq * case.Mq * case.Mkv
    held = full if own == full else full + own
    return _scores.extra(
        here, without, held * size, "the gradient, and its sum where the bias broadcasts"
    )


def experiment(here: Situation) -> Experiment:
    """One edit: whether the bias wants a gradient. Where the model needs it, the way out keeps it."""
    treatment, control = here.arm(), here.arm(score=_without(here.case).score)
    way_out = here.arm("flex" if here.on_cuda else "sdpa-default")
    return Experiment(treatment, control, way_out if here.subject.needs.bias_grad else None)


def fix(here: Situation) -> str:
    """Depends on whether anybody needs the gradient."""
    if here.subject.needs.bias_grad and here.on_cuda:
        return "flex_attention(q, k, v, score_mod=lambda s, b, h, i, j: s + table[h, i - j + M])"
    if here.subject.needs.bias_grad:
        return "F.scaled_dot_product_attention(q, k, v, attn_mask=bias)  # no kernel selected"
    name = "attn_bias" if here.calls("xformers") else "attn_mask"
    return (
        f"{name}={name}.detach()  # in the call; freeze what it is made of, or build it in no_grad"
    )


def _without(case: Case) -> Case:
    bias = case.score.bias
    quiet = replace(bias, requires_grad=False) if bias else None
    return case.edit(score=replace(case.score, bias=quiet))


def _refuses(here: Situation) -> bool:
    return here.backend == REFUSES[here.on_cuda]


PITFALL = Pitfall(
    code="AP053",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix=fix,
    references=(
        "torch@2.13.0:aten/src/ATen/native/transformers/sdp_utils_cpp.h (check_attn_mask_shape)",
        "xformers@0.0.35:xformers/ops/fmha/cutlass.py (BwOp)",
        "xformers#700",
    ),
)
