"""xFormers gets a causal mask as a tensor although it has a class for it.

**What happens.** Memory-efficient attention seems slower than plain PyTorch, and takes memory for the
mask: 6,662 MiB of a training with the tensor, 3,518 MiB with the class, in the thread that made this
known.

**Why.** An `attn_bias` that is a tensor leaves CUTLASS's operator alone: flash's take mask classes
only. CUTLASS reads B * Hq * Mq * Mkv numbers (broadcast ones too) and computes the masked half; told
`LowerTriangularMask`, it skips those tiles.

**Experiment.** The tensor against the class.

**Remedy.** `xops.LowerTriangularMask()`, for a window
`LowerTriangularFromBottomRightLocalAttentionMask`, for packed sequences
`BlockDiagonalCausalMask.from_seqlens`.

**Versions.** All of xFormers.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _skipping


def suspect(here: Situation) -> str | None:
    """A band that a class says: CUTLASS has the triangle, flash windows from the bottom right too."""
    case = here.case
    plain = case.score.is_plain and case.lengths is None and case.mask_form == "dense-float"
    if not here.on_cuda or not plain or not _has_class(here):
        return None
    if not _skipping.is_worth(case, here.on_cuda):
        return None
    return f"attn_bias is a tensor of {case.Mq} x {case.Mkv} that says {case.mask.text}"


def predict(here: Situation) -> Prediction:
    """From the tiles; seen on an H200: 1.4x in float32, CUTLASS for both, and 3.5x in float16."""
    lesser = 2.5 if here.calls("xformers-default") and here.case.dtype != "float32" else 1.5
    return _skipping.time(here.case, here.on_cuda, lesser)


def experiment(here: Situation) -> Experiment:
    """One edit: how the mask is said."""
    return Experiment(here.arm(), here.arm(mask_form="best"))


def fix(here: Situation) -> str:
    """The class of this mask; a window counts the diagonal there."""
    mask, name = here.case.mask, "xops.LowerTriangularMask()"
    if mask.left is not None:
        owner = "xops.fmha.attn_bias.LowerTriangularFromBottomRightLocalAttentionMask"
        name = f"{owner}({mask.left + 1})"
    elif mask.align == "bottom-right" and here.case.Mq != here.case.Mkv:
        name = "xops.fmha.attn_bias.LowerTriangularFromBottomRightMask()"
    return f"xops.memory_efficient_attention(q, k, v, attn_bias={name})"


def _has_class(here: Situation) -> bool:
    mask, square = here.case.mask, here.case.Mq == here.case.Mkv
    if mask.is_causal and (mask.align == "top-left" or square):
        return here.backend in ("xformers-default", "xformers-cutlass")
    aligned = mask.is_band and mask.right == 0 and (mask.align == "bottom-right" or square)
    return aligned and here.backend == "xformers-default" and here.case.dtype != "float32"


PITFALL = Pitfall(
    code="AP093",
    severity="critical",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix=fix,
    references=("xformers#700", "xformers@0.0.35:xformers/ops/fmha/flash.py (FwOp)"),
)
