"""A mask whose rows are no multiple of 8 is copied into padded rows in every call.

**What happens.** The peak grows by the size of the mask; under torch.compile or `save_on_cpu`, which
may drop the padding, the call fails with "attn_bias is not correctly aligned".

**Why.** The memory-efficient kernel reads the mask in vectors and wants the stride of its rows to be a
multiple of 8 elements. SDPA pads a mask that has another and takes a slice of it, each time.

**Experiment.** The call with Mkv rounded up to a multiple of 8.

**Remedy.** Allocate masks with longer rows and hand over a slice: the stride counts, not the width.

**Versions.** CUDA; torch 2.11 was tried. Sources from before `enable_gqa` (2.5) wanted 16 elements,
and expanded the mask to all heads before they copied it.
"""

from __future__ import annotations

from attnprobe.core.case import ELEMENT_BYTES
from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _dispatch, _scores

ROW = 8


def suspect(here: Situation) -> str | None:
    """A mask of numbers before CUTLASS's kernel in SDPA; a boolean one is made anew anyway."""
    case = here.case
    runs = here.backend == "sdpa-mem-efficient" or (
        here.calls("sdpa-default") and not _dispatch.cudnn_runs(here) and case.groups == 1
    )
    numbers = case.mask_form == "dense-float" or case.score.bias is not None or case.score.alibi
    if not here.on_cuda or not runs or not numbers or case.wants_bias_grad or not case.Mkv % ROW:
        return None
    if predict(here).low < _scores.MATTERS:
        return None
    return (
        f"rows of the mask have {case.Mkv} elements, {case.Mkv % ROW} more than a multiple of {ROW}"
    )


def predict(here: Situation) -> Prediction:
    """The padded copy over a call without it."""
    case = here.case
    batch, heads = (case.bias_shape or (1, 1))[:2]
    batch = case.B if case.lengths else batch
    heads = case.Hq if case.score.alibi else heads
    size = batch * heads * case.Mq * _rounded(case.Mkv) * ELEMENT_BYTES[case.dtype]
    return _scores.extra(here, case, size, "a padded copy of the mask")


def experiment(here: Situation) -> Experiment:
    """One edit: the number of keys, which square calls share with the queries."""
    case, keys = here.case, _rounded(here.case.Mkv)
    queries = keys if case.Mq == case.Mkv else case.Mq
    return Experiment(here.arm(), here.arm(Mq=queries, Mkv=keys))


def _rounded(keys: int) -> int:
    return -(-keys // ROW) * ROW


PITFALL = Pitfall(
    code="AP051",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="mask = q.new_zeros(Mq, (Mkv + 7) // 8 * 8)[:, :Mkv]  # then fill it; rows keep their stride",
    references=(
        "pytorch#104310",
        "pytorch#121943",
        "torch@2.13.0:aten/src/ATen/native/transformers/attention.cpp (preprocess_mask)",
    ),
)
