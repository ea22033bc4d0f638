"""Under no_grad xFormers still takes the training path for a tensor that requires a gradient.

**What happens.** Decoding never gets the split-K operator, and a log-sum-exp is computed and kept
for a backward that will not come, although the call is inside `torch.no_grad()`.

**Why.** The choice looks at `requires_grad` of q, k and v, not at whether gradients are recorded.
Results of operations under no_grad do not require them; parameters and other leaves still do.

**Experiment.** What the operator is told under no_grad with a leaf as query, and with a detached
one.

**Remedy.** `.detach()`; `torch.inference_mode()` does not help a leaf that was made outside of it.

**Versions.** xFormers 0.0.35.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "xformers-leaf-under-no-grad"


def suspect(here: Situation) -> str | None:
    """Inference, and a leaf in it."""
    if here.has(HABIT) and here.calls("xformers") and not here.case.wants_backward:
        return "a tensor that requires a gradient is used under no_grad"
    return None


def predict(here: Situation) -> Prediction:
    """Told or not."""
    return Prediction(
        "value",
        1,
        1,
        "requires_grad is asked, not torch.is_grad_enabled()",
        of="prepares for a backward",
    )


def experiment(here: Situation) -> Experiment:
    """One edit: `.detach()`."""
    return Experiment(here.small(f"written/{HABIT}"), here.small(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP105",
    severity="low",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="xops.memory_efficient_attention(q.detach(), k.detach(), v.detach())",
    references=(
        "xformers@0.0.35:xformers/ops/fmha/__init__.py (_memory_efficient_attention)",
        "xformers@0.0.35:xformers/ops/fmha/dispatch.py (_dispatch_fw_priority_list)",
    ),
)
