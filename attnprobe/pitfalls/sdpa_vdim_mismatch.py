"""Values of another head dim than the keys lose flash; on a CPU they run unfused.

**What happens.** Latent attention (192 and 128) or asymmetric heads run on the memory-efficient kernel
of a GPU, or with memory for all scores on a CPU, without a word.

**Why.** Flash asks for one head dim for q, k and v. cuDNN takes two that are at most 128, and from
9.11 on 192 with 128 on Hopper and Blackwell, so that those lose nothing; on older GPUs CUTLASS's
kernel runs, and is slower. The CPU has nothing but flash.

**Experiment.** The same call with values as wide as the keys.

**Remedy.** Pad the values with zero channels up to the keys' and cut the output: the numbers are the
same. Up to 128 channels the added products cost less than the slower kernel; with 256 they do not, as
an H200 showed where more was expected, so that nothing is suspected there.

**Versions.** The check is in every release that was read; torch 2.11 (CUDA) and 2.13 (CPU) were tried.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _dispatch, _scores, _skipping

SLOWER = (1.5, 3.0)
"""CUTLASS's kernel over FlashAttention-2 for heads of 128 or less: 2.3x forward, 2.8x with backward on
an H200 (B2 H8 M2048 K64 bfloat16)."""

NARROW = 128
"""Wider heads gain nothing: FlashAttention-2 with 256 padded channels took 4.11 ms where CUTLASS's
kernel took 3.47 with 256 and 128 (H200, B2 H16 M4096)."""


def suspect(here: Situation) -> str | None:
    """On a GPU what flash would take but for this, and cuDNN does not; on a CPU everything else."""
    case = here.case
    if not here.calls("sdpa-default") or not case.Kv < case.K:
        return None
    if here.on_cuda and not _flash_but_for_it(here):
        return None
    if predict(here).low < (1.1 if here.on_cuda else _scores.MATTERS):
        return None
    return f"v has {case.Kv} channels, q and k have {case.K}: no flash kernel takes that"


def predict(here: Situation) -> Prediction:
    """On a GPU the lesser kernel's factor, less what the padding computes for nothing."""
    case = here.case
    if not here.on_cuda:
        return _scores.unfused(here, case.edit(Kv=case.K))
    kept = (case.K + case.Kv) / (2 * case.K)
    because = (
        f"CUTLASS's kernel takes {SLOWER[0]:g} to {SLOWER[1]:g}x the time of flash for the same work "
        f"(H200), which is {kept:.3g} of the padded call's"
    )
    return Prediction("time", SLOWER[0] * kept, SLOWER[1] * kept, because)


def experiment(here: Situation) -> Experiment:
    """One edit: the values' head dim."""
    return Experiment(here.arm(), here.arm(Kv=here.case.K))


def fix(here: Situation) -> str:
    """Zeros that nobody sees."""
    more = here.case.K - here.case.Kv
    return (
        f"out = F.scaled_dot_product_attention(q, k, F.pad(v, (0, {more})))[..., :{here.case.Kv}]"
    )


def _flash_but_for_it(here: Situation) -> bool:
    case = here.case
    work = case.B * case.Hq * case.Mq * case.Mkv * case.K
    takes = (
        case.dtype in _dispatch.HALF and case.K <= NARROW and not _dispatch.has_mask_tensor(case)
    )
    return takes and not _dispatch.cudnn_runs(here) and work >= _skipping.LONG[True]


PITFALL = Pitfall(
    code="AP046",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix=fix,
    references=(
        "torch@2.13.0:aten/src/ATen/native/transformers/cuda/sdp_utils.cpp (check_head_dim_size_flash, "
        "check_cudnn_tensor_shapes)",
    ),
)
