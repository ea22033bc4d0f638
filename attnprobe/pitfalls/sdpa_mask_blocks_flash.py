"""A causal mask that is given as a tensor takes up to 2.8 times as long as the flag.

**What happens.** The same result, later: 2.8 times as late on an H200 and on a CPU, 2.6 times on an
A100, at 4,096 tokens. A profile shows a kernel that reads a bias where flash could run.

**Why.** Flash takes no mask tensor at all. The kernels that do (cuDNN, CUTLASS, the CPU's) cannot know
what is in it: they compute every tile of the rectangle, also the half that is masked, and read the
mask.

**Experiment.** The tensor against `is_causal=True`.

**Remedy.** The flag. For padding beside it: pack the sequences (`varlen_attn`, nested tensors), or
right-pad and drop the mask, since a causal row never sees what comes after it.

**Versions.** All of torch.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _skipping

TAKE_BOTH = ("sdpa-default", "sdpa-cudnn", "sdpa-mem-efficient")


def suspect(here: Situation) -> str | None:
    """The flag is aligned top-left and says nothing else: exactly this mask, and no bias beside it."""
    case = here.case
    sayable = case.mask.is_causal and (case.mask.align == "top-left" or case.Mq == case.Mkv)
    plain = case.score.is_plain and case.lengths is None and case.mask_form != "best"
    takes_both = here.backend in TAKE_BOTH or (here.backend == "sdpa-flash" and not here.on_cuda)
    if not (sayable and plain and takes_both) or not _skipping.is_worth(case, here.on_cuda):
        return None
    return (
        f"attn_mask is a {case.mask_form} tensor of {case.Mq} x {case.Mkv} that says is_causal=True"
    )


def predict(here: Situation) -> Prediction:
    """From the tiles; seen on an H200: 1.7x at 2,048 tokens, 2.8x at 4,096, cuDNN for both."""
    return _skipping.time(here.case, here.on_cuda, 2.0)


def experiment(here: Situation) -> Experiment:
    """One edit: how the mask is said."""
    return Experiment(here.arm(), here.arm(mask_form="best"))


PITFALL = Pitfall(
    code="AP048",
    severity="critical",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="F.scaled_dot_product_attention(q, k, v, is_causal=True)",
    references=(
        "keras-team/keras#22910",
        "xformers#700",
        "torch@2.13.0:aten/src/ATen/native/transformers/cuda/sdp_utils.cpp (check_for_attn_mask)",
    ),
)
