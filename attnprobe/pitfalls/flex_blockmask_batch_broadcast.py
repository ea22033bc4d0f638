"""A BlockMask made with B=None gives every sample the blocks of sample 0.

**What happens.** Masks that differ from sample to sample (padding, prefixes) look applied, and all
samples but the first attend padding or miss keys. Nothing warns.

**Why.** `create_block_mask(..., B=None)` evaluates `mask_mod` for sample 0 alone. Blocks that it leaves
empty are visited for no sample, blocks that it fills are attended in all without asking `mask_mod`. Only
blocks that sample 0 fills in part come out right, so lengths within one block of 128 hide the error.

**Experiment.** The same mask with B=None and with B of the batch, both compiled, against the reference.

**Remedy.** `B=q.size(0)` (and `H=q.size(1)` for masks that depend on the head).

**Versions.** FlexAttention of all releases, compiled; uncompiled it asks `mask_mod` of every pair and is
right.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls._blocks import spoilt

HABIT = "flex-mask-of-sample-0"


def suspect(here: Situation) -> str | None:
    """Some sample's length must leave the blocks of sample 0."""
    lengths = here.case.lengths
    if not here.has(HABIT) or lengths is None or here.case.storage != "padded":
        return None
    wrong = [
        n
        for n, sides in enumerate(zip(lengths.q, lengths.kv, strict=True))
        if any(map(spoilt, (lengths.q[0], lengths.kv[0]), sides))
    ]
    if not wrong:
        return None
    first = wrong[0]
    return (
        f"{len(wrong)} of {here.case.B} samples get the blocks of sample 0: {lengths.kv[0]} keys, where "
        f"sample {first} has {lengths.kv[first]}"
    )


def predict(here: Situation) -> Prediction:
    """Whole blocks of 128 keys are missed or added."""
    return Prediction(
        "wrong", 1, 1, "blocks of 128 keys that sample 0 skips or fills decide for all"
    )


def experiment(here: Situation) -> Experiment:
    """One edit: B of create_block_mask."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP019",
    severity="critical",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="create_block_mask(mask_mod, B=q.size(0), H=None, Q_LEN=q.size(2), KV_LEN=k.size(2))",
    references=("torch@2.13.0:torch/nn/attention/flex_attention.py",),
)
