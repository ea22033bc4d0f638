"""SDPA on jagged nested tensors has no kernel for much that dense tensors can do.

**What happens.** `No viable backend for scaled_dot_product_attention was found`, or an error of
`matmul` from below it: for causal attention on the CPU, for grouped heads anywhere, for any mask
tensor.

**Why.** Flash and memory-efficient kernels run on CUDA only and want equal numbers of heads. What
is left, the math path, multiplies nested tensors: without `is_causal`, without broadcasting heads,
and only where the values are contiguous (chunks of one packed projection are not).

**Experiment.** The call on nested tensors; the same sequences as rows with one mask.

**Remedy.** `varlen_attn` on a GPU. On the CPU padded tensors or one mask over the packed rows;
repeated key heads; `.contiguous()` for chunks of a projection; 16 bits on CUDA, so that flash
applies.

**Versions.** torch 2.3 to 2.13; nested tensors are no longer being developed.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation


def suspect(here: Situation) -> str | None:
    """What nested SDPA was seen to reject; masks other than causal cannot even be said to it."""
    if here.backend != "njt":
        return None
    if here.case.groups > 1:
        return f"{here.case.groups} query heads share a key head"
    if here.case.mask.is_causal and not here.on_cuda:
        return "is_causal on the CPU, where only the math path is left"
    return None


def predict(here: Situation) -> Prediction:
    """Seen or not."""
    return Prediction(
        "refused",
        1,
        1,
        "no kernel of nested SDPA takes is_causal on the CPU, or grouped heads",
        of="Nested tensors for query|nested tensors, batch dimensions|Both fused kernels|viable",
    )


def experiment(here: Situation) -> Experiment:
    """One edit: nested tensors or dense ones."""
    return Experiment(here.small(), here.small("sdpa-default"))


PITFALL = Pitfall(
    code="AP083",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="varlen_attn(q, k, v, cu_seqlens, cu_seqlens, longest, longest)  # rows (T, H, K), on CUDA",
    references=("torch@2.13.0:torch/nested/_internal/sdpa.py (_select_sdp_backend)",),
)
