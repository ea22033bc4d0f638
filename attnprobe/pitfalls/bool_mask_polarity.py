"""A boolean mask with True = ignore is passed to SDPA, where True = attend.

**What happens.** After nn.MultiheadAttention was replaced with SDPA the model attends exactly what it
should not: the padding, the future. Shapes fit, nothing warns, the loss stops falling.

**Why.** In nn.MultiheadAttention and nn.Transformer True means ignore, both in `attn_mask` and in
`key_padding_mask`; in SDPA and FlexAttention it means attend. An `attention_mask` of Hugging Face
has 1 for keep. A captured mask that allows the future alone, or the tail of every shorter sample and
nothing of the longest, is taken for one the wrong way round.

**Experiment.** The call with the mask inverted against the reference; the same call with the mask.

**Remedy.** `~mask` at the border between the two conventions; name masks `keep` or `ignore`.

**Versions.** All of torch.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _masks

HABIT = "inverted-mask"


def suspect(here: Situation) -> str | None:
    """Only a mask that is handed over as a tensor of booleans can be the wrong way round."""
    boolean = here.case.mask_form != "dense-float" and not _adds(here)
    if here.has(HABIT) and boolean and _masks.is_tensor(here.case):
        return "the boolean mask has True where a key is to be ignored"
    return None


def _adds(here: Situation) -> bool:
    score = here.case.score
    return score.alibi or (score.bias is not None and not score.bias.forbids)


def predict(here: Situation) -> Prediction:
    """No key is attended that should be."""
    return Prediction("wrong", 1, 1, "each query attends the complement of what is meant")


def experiment(here: Situation) -> Experiment:
    """One edit: the polarity."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm("sdpa-default"))


PITFALL = Pitfall(
    code="AP005",
    severity="critical",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="attn_mask = ~key_padding_mask[:, None, None, :]  # True = attend",
    references=(
        "torch@2.13.0:torch/nn/functional.py",
        "torch@2.13.0:torch/nn/modules/activation.py",
    ),
)
