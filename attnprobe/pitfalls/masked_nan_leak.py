"""NaN in masked slots of K or V reaches the output.

**What happens.** A cache from `torch.empty`, or padding that once overflowed, gives NaN although every
such slot is masked; not always, for fresh memory is often 0.

**Why.** A mask makes a weight 0, and 0 * NaN is NaN; in K the logit is NaN before -inf is added to it.
Kernels for dense masks multiply all slots.

**Experiment.** The call with NaN in masked slots behind the keys against the reference; the same call
on the slots in use.

**Remedy.** Slice the cache, `k[:, :, :used]`, or make it with `torch.zeros`.

**Versions.** All kernels that take a dense mask. Kernels that are told lengths read no unused slot.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "garbage-behind-mask"


def suspect(here: Situation) -> str | None:
    """Slots that nobody wrote to, multiplied by weights of 0."""
    if here.has(HABIT) and here.case.lengths is None:
        return "slots that were never written to are passed, and masked"
    return None


def predict(here: Situation) -> Prediction:
    """Every row sums over every slot."""
    return Prediction("wrong", 1, 1, "0 * NaN is NaN, in each of the rows")


def experiment(here: Situation) -> Experiment:
    """One edit: masked slots, or none."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm("sdpa-default"))


PITFALL = Pitfall(
    code="AP017",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="F.scaled_dot_product_attention(q, k_cache[:, :, :used], v_cache[:, :, :used])",
    references=("pytorch#101967",),
)
