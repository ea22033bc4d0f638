"""nn.MultiheadAttention drops its attn_mask when is_causal=True comes with it.

**What happens.** A window, a prefix, a bias has no effect: the layer attends everything before each
token. With `need_weights=True`, and in eval mode, the mask does count: training and evaluation differ.

**Why.** `is_causal` is a hint that `attn_mask` is the causal mask. Without weights to return and without
`key_padding_mask` the layer believes it, forgets the mask and calls SDPA with the flag.

**Experiment.** The layer with mask and hint against the reference of the mask; the layer with the mask
alone.

**Remedy.** Leave `is_causal` out unless the mask is the plain causal one.

**Versions.** torch 2.0 (where the hint came) to 2.13 at least; nn.TransformerEncoderLayer passes it on.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "mha-causal-hint"


def suspect(here: Situation) -> str | None:
    """The hint, and a mask or bias that it does not describe; key padding keeps the mask alive."""
    case = here.case
    if not here.has(HABIT) or case.lengths is not None:
        return None
    top_left = case.mask.align == "top-left" or case.Mq == case.Mkv
    more = not case.mask.is_none and not (case.mask.is_causal and top_left)
    adds = case.score.alibi or case.score.bias is not None
    if more or adds:
        said = case.mask.text if more else "what is added to the logits"
        return f"is_causal=True comes with an attn_mask that is more: {said}"
    return None


def predict(here: Situation) -> Prediction:
    """The layer computes plain causal attention."""
    return Prediction(
        "wrong", 1, 1, "the hint replaces attn_mask: is_causal=True is all that is left"
    )


def experiment(here: Situation) -> Experiment:
    """One edit: the hint."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm("mha"))


PITFALL = Pitfall(
    code="AP007",
    severity="critical",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="mha(x, x, x, attn_mask=mask, need_weights=False)  # is_causal only with the causal mask itself",
    references=(
        "torch@2.13.0:torch/nn/functional.py",
        "torch@2.13.0:torch/nn/modules/activation.py",
    ),
)
