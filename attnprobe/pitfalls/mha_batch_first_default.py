"""nn.MultiheadAttention takes (M, B, D) by default: (B, M, D) attends across samples.

**What happens.** Shapes fit and the loss falls, too fast at times: tokens see the tokens at their place
in the other samples of the batch and none of their own sample. Results depend on who shares a batch.

**Why.** `batch_first` is False by default, and the layer cannot tell B from M.

**Experiment.** The layer as it is made by default, given (B, M, D), against the reference; the layer
with `batch_first=True`.

**Remedy.** `batch_first=True` in nn.MultiheadAttention and every nn.Transformer module.

**Versions.** All of torch; the argument exists since 1.9.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "batch-first-forgotten"


def suspect(here: Situation) -> str | None:
    """Self-attention without a mask: another length or a mask of M x M would raise, which is loud."""
    case = here.case
    silent = case.Mq == case.Mkv and case.mask.is_none and case.lengths is None
    if here.has(HABIT) and silent and case.score.is_plain and case.B * case.Mq > 1:
        return f"({case.B}, {case.Mq}, {case.Hq * case.K}) is given to a layer that takes (M, B, D)"
    return None


def predict(here: Situation) -> Prediction:
    """Each token attends B tokens of B samples in place of Mkv of its own."""
    case = here.case
    because = f"{case.B} tokens of {case.B} samples are attended in place of {case.Mkv} of one"
    return Prediction("wrong", 1, 1, because)


def experiment(here: Situation) -> Experiment:
    """One edit: `batch_first`."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm("mha"))


PITFALL = Pitfall(
    code="AP008",
    severity="critical",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="nn.MultiheadAttention(embed_dim, num_heads, batch_first=True)",
    references=("torch@2.13.0:torch/nn/modules/activation.py",),
)
