"""A head dim that is no multiple of 8 costs the fast kernels, with a mask all fused ones.

**What happens.** Heads of 20, 36 or 60 channels are slower than of 64; with a mask tensor, or in
float32 where 4 does not divide them, the call runs unfused with memory for all scores.

**Why.** Tensor cores and 16-byte loads want whole groups of channels. cuDNN and CUTLASS's kernel
refuse the call, flash pads q, k and v to a multiple of 8 in every call (and takes no mask); xFormers'
and flash-attn's own functions raise.

**Experiment.** The same call with the head dim rounded up to a multiple of 8.

**Remedy.** A head dim of 64 or 128; for a trained model, weights padded with zero rows once, and the
scale of the true head dim given explicitly.

**Versions.** The checks of torch 2.13; 2.11 was tried, with a mask. CUDA only: the CPU's flash takes
any head dim.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _dispatch, _scores, _skipping


def suspect(here: Situation) -> str | None:
    """Unfused it is where flash cannot take it either; padded it costs where cuDNN would else run."""
    case = here.case
    if not here.on_cuda or not here.calls("sdpa-default") or case.Kv != case.K:
        return None
    step = 8 if case.dtype in _dispatch.HALF else 4
    if case.K % step == 0 or case.layout == "strided":
        return None
    work = case.B * case.Hq * case.Mq * case.Mkv * case.K
    padded = _padded(here) and work >= _skipping.LONG[True] and _dispatch.cudnn_first(here)
    if padded or (not _padded(here) and predict(here).low >= _scores.MATTERS):
        return f"the head dim is {case.K}, which {step} does not divide"
    return None


def predict(here: Situation) -> Prediction:
    """Flash with copies against cuDNN, or math against fused."""
    if not _padded(here):
        return _scores.unfused(here, here.case)
    because = (
        "flash on padded copies against cuDNN, which takes 0.5 to 0.7 of flash's time on an H200; three "
        "copies in and one out"
    )
    return Prediction("time", 1.4, 3, because)


def experiment(here: Situation) -> Experiment:
    """One edit: the head dim."""
    aligned = -(-here.case.K // 8) * 8
    return Experiment(here.arm(), here.arm(K=aligned, Kv=aligned))


def fix(here: Situation) -> str:
    """The scale is what must not change with the padding."""
    K = here.case.K
    more = -(-K // 8) * 8 - K
    return (
        f"q, k, v = (F.pad(t, (0, {more})) for t in (q, k, v))  # better: pad the weights once\n"
        f"out = F.scaled_dot_product_attention(q, k, v, scale={K} ** -0.5)[..., :{K}]"
    )


def _padded(here: Situation) -> bool:
    case = here.case
    return case.dtype in _dispatch.HALF and case.K <= 256 and not _dispatch.has_mask_tensor(case)


PITFALL = Pitfall(
    code="AP047",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix=fix,
    references=(
        "torch@2.13.0:aten/src/ATen/native/transformers/cuda/sdp_utils.cpp "
        "(check_head_dim_size_mem_efficient, check_cudnn_tensor_shapes)",
    ),
)
