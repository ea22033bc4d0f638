"""The flag is_causal starts its diagonal at the first key, not at the last.

**What happens.** Training on whole sequences is right. As soon as there are more keys than queries (a
KV cache, a prompt in chunks), queries see the oldest keys in place of the latest, and the last
Mkv - Mq keys are seen by nobody. Nothing warns.

**Why.** SDPA's `is_causal` and xFormers' `LowerTriangularMask` are a lower triangle from the top left
corner. flash-attn since 2.1, FlexAttention masks written with positions, and what decoders mean align
the diagonal with the last query and the last key. With Mq = Mkv the two are one.

**Experiment.** The call with the flag against the float64 reference of the mask aligned bottom-right;
the same call with that mask, as a tensor for SDPA and as a class for xFormers.

**Remedy.** `causal_lower_right(Mq, Mkv)`, a mask object that takes the flash or the memory-efficient
kernel; in xFormers `LowerTriangularFromBottomRightMask()`.

**Versions.** All of torch; flash-attn 2.0 was top-left, 2.1 and later are bottom-right; xFormers has
both since 0.0.23.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _flag


def suspect(here: Situation) -> str | None:
    """The flag where lengths differ; a top-left mask with fewer queries than keys is the flag itself."""
    case = here.case
    plain = case.mask.is_causal and case.score.is_plain and case.lengths is None
    if not plain or case.Mq in (1, case.Mkv) or not _flag.is_said(here):
        return None
    lost = case.Mkv - case.Mq
    shown = f"no query sees the last {lost} keys"
    if lost < 0:
        shown = f"the first {-lost} queries see keys that they should not"
    return f"{_flag.spoken(here)} with Mq={case.Mq} and Mkv={case.Mkv}: {shown}"


def predict(here: Situation) -> Prediction:
    """Counts the pairs that the two alignments allow."""
    case = here.case
    flag, meant = (_pairs(case.Mq, case.Mkv, shift) for shift in (0, case.Mkv - case.Mq))
    because = f"the flag lets {flag:,} pairs attend, a diagonal that ends at the last key {meant:,}"
    return Prediction("wrong", 1, 1, because)


def _pairs(Mq: int, Mkv: int, shift: int) -> int:
    return sum(max(0, min(Mkv, i + shift + 1)) for i in range(Mq))


PITFALL = Pitfall(
    code="AP001",
    severity="critical",
    suspect=suspect,
    predict=predict,
    experiment=_flag.experiment,
    fix="from torch.nn.attention.bias import causal_lower_right\n"
    "F.scaled_dot_product_attention(q, k, v, attn_mask=causal_lower_right(q.size(-2), k.size(-2)))\n"
    "xops.memory_efficient_attention(q, k, v, xops.fmha.attn_bias.LowerTriangularFromBottomRightMask())",
    references=(
        "pytorch#108108",
        "xformers#931",
        "Dao-AILab/flash-attention README, 2.1: change behavior of causal flag",
        "torch@2.13.0:torch/nn/functional.py",
    ),
)
