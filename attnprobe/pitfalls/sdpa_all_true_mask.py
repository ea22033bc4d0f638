"""A mask that masks nothing is paid for like one that does.

**What happens.** A batch without padding takes as long as one with it: the mask is built, all True or
all zero, and handed over. Flash does not run, and what runs reads the mask.

**Why.** The choice of a kernel looks at whether there is a mask, never at what is in it: that would
wait for the GPU. On Hopper an all-True mask leads into cuDNN's NaN gradients as well
(cudnn-bwd-nan-mask-mod128).

**Experiment.** The same call without the mask.

**Remedy.** Decide once per batch, where the lengths are still Python numbers, whether there is padding
at all; libraries that build masks do it.

**Versions.** All of torch.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _dispatch, _skipping

TAKE_BOTH = ("sdpa-default", "sdpa-cudnn", "sdpa-mem-efficient")


def suspect(here: Situation) -> str | None:
    """Lengths that are all full, or a band that forbids nothing, said by a tensor."""
    case = here.case
    takes_both = here.backend in TAKE_BOTH or (here.backend == "sdpa-flash" and not here.on_cuda)
    work = case.B * case.Hq * case.Mq * case.Mkv * case.K
    if not takes_both or not case.score.is_plain or work < _skipping.LONG[here.on_cuda]:
        return None
    if not case.mask.is_idle(case.Mq, case.Mkv):
        return None
    if case.lengths is None and case.mask_form != "best":
        return f"attn_mask ({case.mask_form}) allows all of {case.Mq} x {case.Mkv} pairs"
    if _is_full(here) and case.mask_form == "best":
        return f"all {case.B} sequences are full, and a padding mask says so"
    return None


def predict(here: Situation) -> Prediction:
    """The mask is a load and an addition per pair beside 4 K operations of the products."""
    if not here.on_cuda:
        return Prediction("time", 1.05, 1.6, "seen: 1.1 to 1.4x on CPUs (torch 2.13)")
    narrow = min(1.0, 64 / here.case.K)
    half = here.case.dtype in _dispatch.HALF
    least, most = (0.15, 1.0) if half else (0.08, 0.4)
    seen = "1.2x (CUTLASS) to 1.8x (cuDNN)" if half else "1.14x with backward, 1.24x without"
    because = (
        f"a load and an addition per pair beside 4 K operations: {seen} was seen on an H200 with "
        f"K=64; here K={here.case.K}"
    )
    return Prediction("time", 1 + least * narrow, 1 + most * narrow, because)


def experiment(here: Situation) -> Experiment:
    """One edit: no mask."""
    if here.case.lengths is not None:
        return Experiment(here.arm(), here.arm(lengths=None))
    return Experiment(here.arm(), here.arm(mask_form="best"))


def _is_full(here: Situation) -> bool:
    case, lengths = here.case, here.case.lengths
    if lengths is None or lengths.storage != "padded":
        return False
    return set(lengths.q) == {case.Mq} and set(lengths.kv) == {case.Mkv}


PITFALL = Pitfall(
    code="AP049",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="attn_mask = None if min(lengths) == max_length else mask  # once per batch, on the host",
    references=(
        "huggingface/transformers#26572",
        "huggingface/transformers#30311",
        "pytorch#196678",
    ),
)
