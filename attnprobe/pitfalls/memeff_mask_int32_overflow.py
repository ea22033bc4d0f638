"""The memory-efficient kernel reads other rows of a mask than it should past 2^32 scores.

**What happens.** Every query past 2^32 / Mkv is attended under the mask of another one: plausible
numbers, no error. In training an illegal address near 50,000 x 50,000.

**Why.** The offset of a row in the mask is a product of 32-bit integers, and wraps.

**Experiment.** The call against the same with its queries in chunks that stay below 2^31 scores.

**Remedy.** Those chunks; or no tensor: `is_causal`, or a BlockMask of flex_attention.

**Versions.** torch 2.9 to nightlies of 2.14, sm80 and newer; seen with 2.11 on an H200; open when this
was written.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _dispatch

HABIT = "queries-in-chunks"


def suspect(here: Situation) -> str | None:
    """A mask tensor of that size before CUTLASS's kernel, and nobody who cuts it."""
    case = here.case
    runs = here.backend in ("sdpa-mem-efficient", "xformers-cutlass") or (
        here.calls("sdpa-default") and not _dispatch.cudnn_runs(here) and case.groups == 1
    )
    if not here.on_cuda or not runs or here.has(HABIT) or case.Mq * case.Mkv <= 2**32:
        return None
    if not _dispatch.has_mask_tensor(case):
        return None
    return f"the mask has {case.Mq * case.Mkv / 2**32:.3g} x 2^32 elements per head"


def predict(here: Situation) -> Prediction:
    """Which rows are wrong."""
    first = 2**32 // here.case.Mkv
    return Prediction(
        "wrong", 1, 1, f"row {first} of {here.case.Mq} is the first whose offset wraps"
    )


def experiment(here: Situation) -> Experiment:
    """One edit: who cuts the queries. Forward alone: the backward may lose the process instead."""
    return Experiment(here.arm(passes="fwd"), here.arm(f"written/{HABIT}", passes="fwd"))


PITFALL = Pitfall(
    code="AP035",
    severity="critical",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="step = 2**31 // k.size(2)\n"
    "out = torch.cat([F.scaled_dot_product_attention(c, k, v, attn_mask=m)\n"
    "                 for c, m in zip(q.split(step, 2), mask.split(step, -2))], 2)",
    references=("pytorch#187225", "pytorch#187227", "pytorch#162588", "pytorch#150054"),
)
