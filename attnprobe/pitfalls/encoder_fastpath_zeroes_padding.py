"""nn.TransformerEncoder leaves zeros in padded rows in eval, values in training.

**What happens.** A mean over all positions gives other embeddings in eval mode than in training, the
more padding the more different. Rows of tokens agree.

**Why.** In eval mode without gradients the encoder packs the tokens into a nested tensor and pads the
result with 0. In training it computes padded queries like any other.

**Experiment.** The root mean square of the padded rows of an encoder in eval mode, as it is made by
default, and with `enable_nested_tensor=False`: 0, and 1, which its last LayerNorm makes of any row.

**Remedy.** Pool over tokens alone: `(x * keep[..., None]).sum(1) / keep.sum(1, keepdim=True)`.

**Versions.** torch 1.12 (where the fast path came) to 2.13 at least.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "encoder-pooled-over-padding"


def suspect(here: Situation) -> str | None:
    """Padding to pool over; heads must be even for the fast path."""
    case = here.case
    rows = case.B * case.Mq - sum(s.Mq for s in case.sequences)
    if here.has(HABIT) and case.storage == "padded" and rows and case.Hq % 2 == 0:
        return f"{rows} of {case.B * case.Mq} rows that are pooled are padding"
    return None


def predict(here: Situation) -> Prediction:
    """Nothing is added to 0."""
    return Prediction("value", 0.0, 0.0, "the nested output is padded with 0", "padding")


def experiment(here: Situation) -> Experiment:
    """One edit: the nested tensor."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP022",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="pooled = (x * keep[..., None]).sum(1) / keep.sum(1, keepdim=True)",
    references=("torch@2.13.0:torch/nn/modules/transformer.py",),
)
