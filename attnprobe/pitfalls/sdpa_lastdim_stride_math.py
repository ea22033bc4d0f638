"""q, k or v whose last dimension is not contiguous run unfused.

**What happens.** Attention becomes several times slower and needs memory for all scores after keys
were stored transposed, (B, H, K, M), or sliced out of interleaved channels. Nothing warns.

**Why.** Fused kernels load whole vectors of the head dim: all of them ask for a last stride of 1. SDPA
does not copy; it takes the math kernel, which accepts any stride. xFormers and flash-attn raise
instead.

**Experiment.** The same values with a last stride of 1.

**Remedy.** `.contiguous()` once, where the tensor is made (at the write into the cache); one copy
reads and writes K and V once and is far cheaper than what it avoids.

**Versions.** The check is in every release that was read; torch 2.11 (CUDA) and 2.13 (CPU) were tried.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _scores


def suspect(here: Situation) -> str | None:
    """A single channel has no stride to speak of; who selects a fused kernel gets an error instead."""
    case = here.case
    strided = case.layout == "strided" and min(case.K, case.Kv) > 1
    if not here.calls("sdpa-default") or not strided or predict(here).low < _scores.MATTERS:
        return None
    return "the last dimension of q, k and v has stride 2: no fused kernel takes it"


def predict(here: Situation) -> Prediction:
    """Math against fused."""
    return _scores.unfused(here, here.case)


def experiment(here: Situation) -> Experiment:
    """One edit: the layout."""
    return Experiment(here.arm(), here.arm(layout="BHMK"))


PITFALL = Pitfall(
    code="AP042",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="k, v = k.contiguous(), v.contiguous()  # where they are written, not in every call",
    references=(
        "torch@2.13.0:aten/src/ATen/native/transformers/sdp_utils_cpp.h "
        "(check_last_dim_stride_equals_1_dense)",
    ),
)
