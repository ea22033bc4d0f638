"""xFormers ignores output_dtype as soon as an input requires a gradient.

**What happens.** `output_dtype=torch.float32` returns 16 bits in training, without a word; in
evaluation the same line returns float32, or is refused.

**Why.** With gradients the call goes through an autograd function that is not handed the argument.

**Experiment.** The width of the output's elements with leaves that require gradients; the same cast
after the call.

**Remedy.** Cast the output. That does not bring back what was rounded: where parts are to be
merged, use `memory_efficient_attention_partial`.

**Versions.** xFormers 0.0.35.
"""

from __future__ import annotations

from attnprobe.core.case import ELEMENT_BYTES
from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "xformers-output-dtype"


def suspect(here: Situation) -> str | None:
    """16-bit inputs with gradients."""
    case = here.case
    training = case.wants_backward and case.dtype in ("bfloat16", "float16")
    if here.has(HABIT) and here.calls("xformers") and training:
        return f"output_dtype=float32 for {case.dtype} inputs that require gradients"
    return None


def predict(here: Situation) -> Prediction:
    """The width of the inputs."""
    bits = 8 * ELEMENT_BYTES[here.case.dtype]
    return Prediction("value", bits, bits, "the argument stops before autograd", of="bits")


def experiment(here: Situation) -> Experiment:
    """One edit: who makes float32 of it."""
    return Experiment(here.small(f"written/{HABIT}"), here.small(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP104",
    severity="low",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="out = xops.memory_efficient_attention(q, k, v).float()",
    references=("xformers@0.0.35:xformers/ops/fmha/__init__.py (_memory_efficient_attention)",),
)
