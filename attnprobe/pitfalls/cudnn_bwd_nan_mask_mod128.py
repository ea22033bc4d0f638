"""cuDNN's gradient of q is NaN where half a tile of keys is left and logits are very negative.

**What happens.** Preference training diverges to NaN on Hopper after an upgrade; with eager attention,
or with another length, it does not. A mask tensor is given, all True will do; the forward is right.

**Why.** Keys come in tiles of 128. With 64 left over, the other half of the last tile is scored 0
instead of -inf in the backward; where a row's log-sum-exp is below -88.7, its weight exp(0 - lse)
overflows float32, and infinity times the padding's zeros is NaN. `is_causal` without a tensor is
right.

**Experiment.** The call with logits that are all very negative, against the same with 64 keys more.

**Remedy.** Switch cuDNN's attention off, or pad the keys to a multiple of 128 and mask what was added.

**Versions.** Seen with torch 2.11 and cuDNN 9.19 on an H200; reported for torch 2.11 to 2.13 with
cuDNN as the first choice on compute capability 9; closed since, first release without it not known, so
that the experiment decides and not the version.
"""

from __future__ import annotations

import math

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall, Untestable
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _dispatch

FAMILY = "very-negative-lse"
PRODUCT = 14.4
"""Mean of minus q_i k_i in that family: (3 + E|n|)^2 of a standard normal n."""

OVERFLOWS = 88.7
"""exp of more is infinite in float32."""


def suspect(here: Situation) -> str | None:
    """A training call with a mask tensor that runs on cuDNN, 64 keys past a multiple of 128."""
    case = here.case
    runs = here.backend == "sdpa-cudnn" or (
        here.calls("sdpa-default") and _dispatch.cudnn_runs(here)
    )
    on_hopper = here.on_cuda and (here.capability or (0, 0))[0] == 9
    if not on_hopper or not runs or not case.wants_backward or case.Mkv % 128 != 64:
        return None
    if not _dispatch.has_mask_tensor(case):
        return None
    return f"cuDNN's backward gets a mask tensor and Mkv={case.Mkv} = 128 * {case.Mkv // 128} + 64"


def predict(here: Situation) -> Prediction:
    """How far below zero the experiment's log-sum-exp lies."""
    because = f"log-sum-exp near {_lse(here):.0f}, and exp of more than {OVERFLOWS} is infinite"
    return Prediction("wrong", 1, 1, because)


def experiment(here: Situation) -> Experiment | Untestable:
    """One edit: 64 keys more. The inputs are what the report needs, on both sides."""
    case = here.case
    if _lse(here) > -OVERFLOWS:
        return Untestable("inputs drawn for it stay above -88.7 with this scale; try a larger K")
    more = case.Mkv + 64
    queries = more if case.Mq == case.Mkv else case.Mq
    return Experiment(here.arm(family=FAMILY), here.arm(family=FAMILY, Mq=queries, Mkv=more))


def _lse(here: Situation) -> float:
    return math.log(here.case.Mkv) - PRODUCT * here.case.K * here.case.scale


PITFALL = Pitfall(
    code="AP033",
    severity="critical",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="torch.backends.cuda.enable_cudnn_sdp(False)  # or TORCH_CUDNN_SDPA_DEPRIORITIZED=1",
    references=("pytorch#196678", "huggingface/trl#7181"),
)
