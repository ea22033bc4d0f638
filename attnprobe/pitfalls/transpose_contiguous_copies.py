"""Copies of q, k and v for an order of heads and tokens that no kernel needs.

**What happens.** Three kernels more per layer, as many in the backward where gradients are brought back
into the projections' order; much of the time of short sequences, little of that of long ones.

**Why.** A projection gives (B, M, H, K). SDPA's kernels take any strides whose last is 1, so a
transposed view of it serves; xFormers and flash-attn take that order as it is. `.contiguous()` and
`rearrange` copy.

**Experiment.** The call behind three such copies, and without: SDPA's, or xFormers' where the code
rearranges for it.

**Remedy.** Pass the view.

**Versions.** All: this is code around the call. The author of xformers#700 dropped his copies and saw
little: on an H200 they are 1% of his call (M 2048, float32, both passes). Of a forward of 32 x 1024
tokens in bfloat16 they are nearly half.
"""

from __future__ import annotations

import math

from attnprobe.core.case import ELEMENT_BYTES
from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls._rates import rates

HABIT, OF_XFORMERS = "transposed-copies", "xformers-rearranged"
COPIES = 3


def suspect(here: Situation) -> str | None:
    """The code says so; what they are worth is the question."""
    if not (here.has(HABIT) or here.has(OF_XFORMERS)):
        return None
    return f"{_bytes(here) / 2**20:.3g} MiB are read and written before every call"


def predict(here: Situation) -> Prediction:
    """Bytes copied over bandwidth, against operations over their rate."""
    return Prediction(
        "time", *_span(here), "bytes of the copies over bandwidth, by FLOPs over rate"
    )


def experiment(here: Situation) -> Experiment:
    """One edit: the copies."""
    if here.has(OF_XFORMERS):
        return Experiment(here.arm(f"written/{OF_XFORMERS}"), here.arm(f"mended/{OF_XFORMERS}"))
    return Experiment(here.arm(f"written/{HABIT}"), here.arm("sdpa-default"))


def _bytes(here: Situation) -> int:
    """q, k and v read and written."""
    case = here.case
    elements = sum(map(math.prod, (case.q_shape, case.k_shape, case.v_shape)))
    return 2 * elements * ELEMENT_BYTES[case.dtype]


def _span(here: Situation) -> tuple[float, float]:
    """The least and the most that the copies add."""
    case, has = here.case, rates(here)
    operations = 4 if case.passes == "fwd" else 14
    work = operations * case.B * case.Hq * case.Mq * case.Mkv * case.K
    read = _bytes(here) / 2
    slow = max(work / has.flops[0], read / has.bytes[0]) + has.call_s[1]
    fast = max(work / has.flops[1], read / has.bytes[1])
    least, most = 2 * read / has.bytes[1], 2 * read / has.bytes[0]
    return 1 + least / slow, 1 + (most + COPIES * has.call_s[1]) / fast


PITFALL = Pitfall(
    code="AP055",
    severity="low",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="q = x.view(B, M, H, K).transpose(1, 2)  # as it is: no .contiguous(), no rearrange",
    references=(
        "facebookresearch/xformers#700",
        "torch@2.13.0:aten/src/ATen/native/transformers/cuda/sdp_utils.cpp "
        "(check_last_dim_stride_equals_1_dense)",
    ),
)
