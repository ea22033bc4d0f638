"""SDPA with attn_mask and is_causal is an error in one kernel and silent in others.

**What happens.** A prefix, a bidirectional image part, a second alignment in the mask has no effect on
one machine, and the same call raises "Explicit attn_mask should not be set" on another.

**Why.** The documentation forbids both at once, but only the math kernel checks. The CPU flash kernel
and the memory-efficient one apply both: what the mask allows above the diagonal is lost. Dropout on a
CPU, or tensors of three dimensions, lead to the math kernel.

**Experiment.** The call with mask and flag against the reference of the mask; the call with the mask
alone. A mask that allows nothing above the diagonal loses nothing, and is not suspected.

**Remedy.** The mask alone, causality within it.

**Versions.** torch 2.0 to 2.13 at least.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _masks

HABIT = "mask-beside-flag"


def suspect(here: Situation) -> str | None:
    """A mask tensor that reaches above the flag's diagonal; with dropout a CPU raises."""
    case = here.case
    if not here.has(HABIT) or case.dropout_p or not _masks.is_tensor(case):
        return None
    right = case.mask.right
    if right is None or right + case.mask.shift(case.Mq, case.Mkv) > 0:
        said = case.mask.text if not case.mask.is_none else "of key padding"
        return f"is_causal=True comes with a mask ({said}) that allows later keys"
    return None


def predict(here: Situation) -> Prediction:
    """The lower triangle of the mask is what is left of it."""
    return Prediction("wrong", 1, 1, "kernels that take both apply both: mask & tril is left")


def experiment(here: Situation) -> Experiment:
    """One edit: the flag."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm("sdpa-default"))


PITFALL = Pitfall(
    code="AP004",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="F.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # causal part included: mask & tril",
    references=(
        "torch@2.13.0:torch/nn/functional.py",
        "pytorch#101531",
        "jingyaogong/minimind#382",
    ),
)
