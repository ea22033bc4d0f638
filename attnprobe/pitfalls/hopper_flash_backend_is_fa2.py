"""On Hopper SDPA's flash kernel is FlashAttention-2, and cuDNN's is faster.

**What happens.** FLASH_ATTENTION was chosen for speed, or by a torch that asks it first, and reaches
half of what cuDNN does.

**Why.** Torch ships FlashAttention-2, written for Ampere: its matrix instructions (mma.sync) do not
keep Hopper's tensor cores busy. cuDNN's kernel and FlashAttention-3 use the asynchronous ones (wgmma).
Torch asks cuDNN first from 2.11 on, where cuDNN is newer than 9.15.

**Experiment.** The same call with cuDNN's kernel.

**Remedy.** Select nothing on torch 2.11 and later, or `sdpa_kernel(SDPBackend.CUDNN_ATTENTION)`, or
`torch.nn.attention.activate_flash_attention_impl("FA3")` with the package flash_attn_interface.

**Versions.** Compute capability 9.0. Flash is the default of torch 2.5.1 to 2.10; 2.5.0 took cuDNN.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _dispatch, _grid

LONG_FLOPS = 1e10
"""Forward; less is over in 20 microseconds, and its launch decides."""


def suspect(here: Situation) -> str | None:
    """A Hopper GPU, work enough, and flash by name or by default."""
    case = here.case
    named = here.backend == "sdpa-flash"
    default = here.backend == "sdpa-default" and not _dispatch.cudnn_first(here)
    if here.capability != (9, 0) or not _dispatch.cudnn_takes(here) or not (named or default):
        return None
    if case.Mq <= _grid.DECODING or 4 * case.B * case.Hq * case.Mq * case.Mkv * case.K < LONG_FLOPS:
        return None
    if _dispatch.has_mask_tensor(case) or case.dropout_p:
        return None  # flash takes no dense mask: another kernel runs
    chosen = "is selected" if named else f"is what torch {here.versions.get('torch', '')} takes"
    return f"FlashAttention-2 {chosen} on compute capability 9.0"


def predict(here: Situation) -> Prediction:
    """What others measured between the two, on H100."""
    return Prediction(
        "time",
        1.3,
        2.1,
        "329 against 631 TFLOP/s (pytorch#142132, K 128); arXiv:2407.08608 gives 1.5 to 2.0 forward "
        "and 1.5 to 1.75 backward, less for short sequences",
    )


def experiment(here: Situation) -> Experiment:
    """One edit: the kernel."""
    return Experiment(here.arm(), here.arm("sdpa-cudnn"))


PITFALL = Pitfall(
    code="AP062",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix=(
        "order = [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION]\n"
        "with sdpa_kernel(order, set_priority=True):\n"
        "    out = F.scaled_dot_product_attention(q, k, v, is_causal=True)"
    ),
    references=(
        "pytorch#142132",
        "huggingface/transformers#48163",
        "arXiv:2407.08608",
        "torch@2.13.0:aten/src/ATen/native/transformers/cuda/sdp_utils.cpp",
    ),
)
