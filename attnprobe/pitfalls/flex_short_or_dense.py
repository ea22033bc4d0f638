"""FlexAttention for what SDPA says with a flag: the generated kernel is slower than the written one.

**What happens.** Plain or causal attention takes longer than with SDPA, short sequences several times
as long.

**Why.** Flex generates a Triton kernel, which pays where a mask or score has no other kernel. cuDNN's
for the same call is faster; and a compiled call checks its guards on the host, which for short
sequences takes longer than the GPU. Blocks of 128 x 128 save nothing in a mask of fewer tokens.

**Experiment.** The same call through SDPA.

**Remedy.** `scaled_dot_product_attention(..., is_causal=True)` where the mask is none, causal or a
length; flex for windows, documents and scores.

**Versions.** With cuDNN as SDPA's default (torch 2.11 and later on Hopper and Blackwell). Against flash
the two are about equal: on an H200 flex took 0.228 ms where flash took 0.251, contrary to what older
reports say.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _dispatch, _grid

SHORT_FLOPS = 5e9
"""Forward and backward; below, the host decides: guards take it about 50 microseconds."""


def suspect(here: Situation) -> str | None:
    """Compiled flex, and SDPA has a flag and cuDNN's kernel for the call."""
    case = here.case
    if here.backend != "flex" or _dispatch.has_mask_tensor(case) or not _dispatch.cudnn_runs(here):
        return None
    if case.Mq <= _grid.DECODING:
        return None
    return f"the mask is {case.mask.text}, which SDPA takes as a flag"


def predict(here: Situation) -> Prediction:
    """As measured on an H200, or by the host where the call is short."""
    case = here.case
    work = (4 if case.passes == "fwd" else 14) * case.B * case.Hq * case.Mq * case.Mkv * case.K
    if work < SHORT_FLOPS:
        return Prediction("wall", 1.2, 6, "short: guards of compiled code over a plain call")
    return Prediction(
        "time",
        1.15,
        1.8,
        "0.253 : 0.200 ms (K 64, causal), 0.228 : 0.157, 0.401 : 0.261 (K 128), H200",
    )


def experiment(here: Situation) -> Experiment:
    """One edit: who computes it."""
    return Experiment(here.arm(), here.arm("sdpa-default"))


PITFALL = Pitfall(
    code="AP079",
    severity="low",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="F.scaled_dot_product_attention(q, k, v, is_causal=True)",
    references=("meta-pytorch/attention-gym#89", "pytorch#148711", "pytorch#141129"),
)
