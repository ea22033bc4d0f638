"""A causal_lower_right mask kept from another length turns top-left in silence.

**What happens.** `causal_lower_right(L, L)` is made once and kept in the module. In decoding, or for a
chunk of a prompt, attention is wrong: one query sees key 0 alone. No error, no warning.

**Why.** The object holds two lengths and compares them with each other, not with the tensors. Equal
ones make it call SDPA with `is_causal=True`, which is aligned top-left. (One of unequal lengths is
made into a tensor where no kernel takes it, and then does raise.)

**Experiment.** The call with the kept object against the reference; the same call with an object made
for its lengths.

**Remedy.** Make the object in every call: it holds two integers and costs nothing.

**Versions.** torch 2.3 (where `torch.nn.attention.bias` came) to 2.13 at least.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "stale-causal-bias"


def suspect(here: Situation) -> str | None:
    """The kept object, and fewer queries than it was made for."""
    case = here.case
    meant = case.mask.align == "bottom-right" and case.mask.is_causal
    idle = case.mask.is_idle(case.Mq, case.Mkv)
    if here.has(HABIT) and case.Mq < case.Mkv and (meant or idle) and case.lengths is None:
        return f"causal_lower_right({case.Mkv}, {case.Mkv}) is used with Mq={case.Mq} queries"
    return None


def predict(here: Situation) -> Prediction:
    """Equal stored lengths are the flag, which is aligned top-left."""
    last = here.case.Mkv - here.case.Mq
    return Prediction("wrong", 1, 1, f"two equal lengths mean is_causal=True: {last} keys are lost")


def experiment(here: Situation) -> Experiment:
    """One edit: the lengths that the object is made of."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP003",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="F.scaled_dot_product_attention(q, k, v, attn_mask=causal_lower_right(q.size(-2), k.size(-2)))",
    references=("torch@2.13.0:torch/nn/attention/bias.py",),
)
