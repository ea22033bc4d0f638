"""A single query with is_causal=True attends the first key alone.

**What happens.** Generation repeats itself or ignores the prompt, while the loss of whole sequences is
fine: every new token is computed from the value of token 0, exactly.

**Why.** The flag is a lower triangle from the top left corner: of a mask of one row it leaves column 0.
xFormers' `LowerTriangularMask` is the same, and its CUTLASS kernel adds keys of the tile on the border.

**Experiment.** The call with the flag against the reference, in which one query sees all Mkv keys; the
same call without the flag.

**Remedy.** No mask at all while one query is decoded, `causal_lower_right` for several.

**Versions.** All of torch and xFormers; flash-attn before 2.1.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.masks.causal import causal
from attnprobe.pitfalls import _flag


def suspect(here: Situation) -> str | None:
    """One query, several keys, and the flag; a mask of one row aligned top-left is the flag itself."""
    case = here.case
    if case.Mq != 1 or case.Mkv == 1 or not case.score.is_plain or case.lengths is not None:
        return None
    all_keys = case.mask.is_idle(1, case.Mkv) or case.mask == causal("top-left")
    if all_keys and _flag.is_said(here):
        return f"{_flag.spoken(here)} with one query and Mkv={case.Mkv} keys"
    return None


def predict(here: Situation) -> Prediction:
    """One key of Mkv is left."""
    left = (
        f"of a mask of 1 x {here.case.Mkv} a lower triangle leaves column 0: the output is value 0"
    )
    return Prediction("wrong", 1, 1, left)


PITFALL = Pitfall(
    code="AP002",
    severity="critical",
    suspect=suspect,
    predict=predict,
    experiment=_flag.experiment,
    fix="is_causal = q.size(-2) > 1 and q.size(-2) == k.size(-2)\n"
    "F.scaled_dot_product_attention(q, k, v, is_causal=is_causal)",
    references=("pytorch#144858", "pytorch#103082", "torch@2.13.0:torch/nn/functional.py"),
)
