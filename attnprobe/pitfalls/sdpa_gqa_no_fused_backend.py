"""Grouped heads with a mask tensor, float32 or wide heads run unfused.

**What happens.** A model with grouped heads runs out of memory at a few thousand tokens, but only with
a padding mask, in float32, or with heads wider than cuDNN takes. Without `enable_gqa` it would not.

**Why.** Two fused kernels know `enable_gqa`: flash, which takes no mask tensor and no float32, and
cuDNN, which takes no float32 and 128 channels at most. The memory-efficient kernel would take the call
but for the flag. SDPA takes the math kernel and repeats the heads there.

**Experiment.** The call against the same with K and V repeated to all query heads before it.

**Remedy.** Repeat the heads where the choice is math; where the mask is padding alone, pack the
sequences.

**Versions.** torch from 2.5, seen with 2.11; a change of July 2026 teaches the memory-efficient
kernel.
"""

from __future__ import annotations

from attnprobe.core.case import ELEMENT_BYTES
from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _dispatch, _scores


def suspect(here: Situation) -> str | None:
    """What keeps flash from it, where cuDNN does not take it either; the CPU's flash takes all of it."""
    case = here.case
    if not here.on_cuda or not here.calls("sdpa-default") or case.groups == 1:
        return None
    reasons = []
    if case.dtype not in _dispatch.HALF:
        reasons.append(f"q is {case.dtype}")
    if _dispatch.has_mask_tensor(case):
        reasons.append("attn_mask is a tensor")
    if max(case.K, case.Kv) > 256:
        reasons.append(f"heads are {max(case.K, case.Kv)} wide")
    if not reasons or _dispatch.cudnn_runs(here) or predict(here).low < _scores.MATTERS:
        return None
    return f"enable_gqa with Hq={case.Hq}, Hkv={case.Hkv}, and {' and '.join(reasons)}"


def predict(here: Situation) -> Prediction:
    """Math against fused on repeated heads, which holds the copies of K and V besides."""
    case = here.case.edit(Hkv=here.case.Hq)
    copies = case.B * case.Hq * case.Mkv * (case.K + case.Kv) * ELEMENT_BYTES[case.dtype]
    return _scores.unfused(here, case, 2 * copies if case.wants_backward else copies)


def experiment(here: Situation) -> Experiment:
    """One edit: who repeats the heads."""
    return Experiment(here.arm(), here.arm("written/kv-repeated"))


PITFALL = Pitfall(
    code="AP044",
    severity="critical",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="k, v = (t.repeat_interleave(q.size(1) // t.size(1), 1) for t in (k, v))  # without enable_gqa",
    references=(
        "Comfy-Org/ComfyUI#15135",
        "huggingface/transformers#39412",
        "pytorch#191085",
    ),
)
