"""A boolean mask is turned into numbers anew in every layer.

**What happens.** Small `where` and fill kernels before each attention, and a mask of Mq * Mkv numbers
in memory that is kept until the backward of its layer.

**Why.** Fused kernels and math add the mask to the scores. SDPA converts a boolean one at its top
level, in every call, without remembering that it has seen it.

**Experiment.** The boolean mask against the same in the type of the queries, made before the call.

**Remedy.** Convert once per step and hand the same tensor to all layers. It is larger than the boolean
one, and worth it where several layers share it.

**Versions.** All of torch.
"""

from __future__ import annotations

from attnprobe.core.case import ELEMENT_BYTES
from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _scores

CONVERTS = ("sdpa-default", "sdpa-mem-efficient", "sdpa-cudnn")


def suspect(here: Situation) -> str | None:
    """Only where the converted mask weighs as much as the call itself."""
    case = here.case
    converts = here.backend in CONVERTS and case.mask_form == "dense-bool"
    if not converts or case.score.bias is not None or predict(here).low < _scores.MATTERS:
        return None
    each = f"{here.subject.calls_per_step} times a step" if here.subject.calls_per_step > 1 else ""
    return f"a boolean mask of {_elements(here):,} elements is converted {each}".rstrip()


def predict(here: Situation) -> Prediction:
    """The converted mask at least; its negation and both at once at most."""
    case = here.case
    size = ELEMENT_BYTES[case.dtype]
    least = _scores.extra(here, case, _elements(here) * size, f"the mask in {case.dtype}")
    most = _scores.extra(here, case, _elements(here) * (size + 1), "")
    return Prediction("memory", least.low, most.high, least.because)


def experiment(here: Situation) -> Experiment:
    """One edit: the mask's type."""
    return Experiment(here.arm(), here.arm(mask_form="dense-float"))


def _elements(here: Situation) -> int:
    """Of the mask: one for all heads; one for all sequences unless lengths differ."""
    case = here.case
    return (case.B if case.lengths else 1) * case.Mq * case.Mkv


PITFALL = Pitfall(
    code="AP050",
    severity="low",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="bias = torch.zeros_like(mask, dtype=q.dtype).masked_fill_(~mask, -torch.inf)  # once a step",
    references=(
        "facebookresearch/fairseq2#438",
        "torch@2.13.0:aten/src/ATen/native/transformers/attention.cpp (convert_boolean_attn_mask)",
    ),
)
