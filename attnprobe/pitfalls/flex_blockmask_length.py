"""A BlockMask belongs to the lengths that it was made for.

**What happens.** `ValueError: block_mask was created for ...` in evaluation or decoding, where
lengths are others than in training. The first releases gave wrong results instead.

**Why.** The mask's tables of blocks cover its own Q_LEN and KV_LEN; a shorter call would read
blocks that are not its own, and a longer one has none.

**Experiment.** A causal mask that is one block longer than the call; one of the call's own length.

**Remedy.** One mask per length, made by a compiled `create_block_mask` and cached by length.
`block_mask._adjust(q_len, kv_len)` keeps the upper left, which is wrong for decoding with a cache.

**Versions.** Raised by torch 2.13; development builds of 2.5 went on with wrong results.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "flex-mask-of-other-length"


def suspect(here: Situation) -> str | None:
    """The calls in question are causal ones, whose mask depends on nothing but the lengths."""
    if here.has(HABIT) and here.calls("flex") and here.case.mask.is_causal:
        return f"the mask is not made for Mq={here.case.Mq} and Mkv={here.case.Mkv}"
    return None


def predict(here: Situation) -> Prediction:
    """Seen or not."""
    return Prediction(
        "refused",
        1,
        1,
        "flex_attention compares the mask's lengths with those of the tensors",
        of="block_mask was created for",
    )


def experiment(here: Situation) -> Experiment:
    """One edit: the lengths that the mask is made for."""
    return Experiment(here.small(f"written/{HABIT}"), here.small(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP081",
    severity="low",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="blocks = functools.cache(lambda M: create_block_mask(causal, None, None, M, M))",
    references=(
        "meta-pytorch/attention-gym#31",
        "meta-pytorch/attention-gym#34",
        "torch@2.13.0:torch/nn/attention/flex_attention.py",
    ),
)
