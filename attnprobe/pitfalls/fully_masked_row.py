"""A query that may attend no key is NaN or the mean of all values, not 0.

**What happens.** One empty sample, or a left-padded one with a causal mask, turns the loss into NaN, for
NaN spreads through every gradient; with finfo.min in place of -inf there is no NaN and such rows
silently average all values, padding included.

**Why.** A softmax over -inf alone is 0 / 0. A finite mask value makes all logits of the row equal. SDPA
documents 0 since torch 2.5; code written out and nn.MultiheadAttention with `need_weights=True` give
NaN, and cuDNN's kernel, which SDPA takes for masks in 16 bits on Hopper and later, attends as if nothing
were masked.

**Experiment.** The call as it is written against the reference, whose empty rows are 0; the same call
by SDPA (on a GPU its memory-efficient kernel, or its math kernel for grouped heads), or by
nn.MultiheadAttention without weights.

**Remedy.** A boolean mask and SDPA without cuDNN, `need_weights=False`; and leave empty samples out.

**Versions.** SDPA before 2.5 gives NaN too; nn.MultiheadAttention with weights still in 2.13. The
catalogue called SDPA safe from 2.5 on; on an H200 (torch 2.11, cuDNN 9.19) its own choice was not, and
on a B200 (torch 2.13) left-padded batches are reported to give NaN.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _masks

BY_HAND, FINITE, WEIGHTS = "softmax-by-hand", "mask-of-finfo-min", "mha-returns-weights"
CUDNN = "cuDNN"
SHOWS = {
    BY_HAND: "softmax of -inf alone is 0 / 0: such rows hold NaN",
    FINITE: "all logits are equal: such rows hold the mean of all values",
    WEIGHTS: "softmax of -inf alone is 0 / 0: such rows hold NaN",
    CUDNN: "cuDNN attends as if nothing were masked in such rows",
}
BACKENDS = {"eager": BY_HAND, "mha-need-weights": WEIGHTS, "sdpa-cudnn": CUDNN}
"""Backends that are such code."""
HOPPER = (9, 0)
"""From here on torch's order of kernels begins with cuDNN where a mask is passed."""


def _culprit(here: Situation) -> str:
    """What does not make such rows 0: a habit, or a kernel; empty for none."""
    found = next((habit for habit in (BY_HAND, FINITE, WEIGHTS) if here.has(habit)), "")
    found = found or BACKENDS.get(here.backend, "")
    chooses = here.on_cuda and here.calls("sdpa-default", "mha") and here.backend != "mha-fast-path"
    if not found and chooses and (here.capability or HOPPER) >= HOPPER:
        found = CUDNN
    sixteen = here.case.dtype in ("float16", "bfloat16") and _masks.is_tensor(here.case)
    return "" if found == CUDNN and not sixteen else found


def suspect(here: Situation) -> str | None:
    """Rows without keys, and code that does not make them 0."""
    rows, culprit = _masks.empty_rows(here.case), _culprit(here)
    if rows and culprit and here.case.score.softcap is None:
        return f"{rows} queries may attend no key ({culprit})"
    return None


def predict(here: Situation) -> Prediction:
    """By what the code puts in place of a masked logit."""
    return Prediction("wrong", 1, 1, SHOWS[_culprit(here)])


def experiment(here: Situation) -> Experiment:
    """One edit: who masks."""
    culprit = _culprit(here)
    treatment = here.arm() if culprit == CUDNN else here.arm(f"written/{culprit}")
    if here.on_cuda:
        right = "sdpa-math" if here.case.groups > 1 else "sdpa-mem-efficient"
    else:
        right = "mha" if culprit == WEIGHTS else "sdpa-default"
    return Experiment(treatment, here.arm(right))


PITFALL = Pitfall(
    code="AP026",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="with sdpa_kernel([SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]):  # not cuDNN\n"
    "    F.scaled_dot_product_attention(q, k, v, attn_mask=keep)  # boolean; empty rows give 0",
    references=(
        "pytorch#103749",
        "pytorch#133882",
        "pytorch#41508",
        "pytorch#160064",
        "unslothai/unsloth#9848",
        "torch@2.13.0:torch/nn/functional.py",
    ),
)
