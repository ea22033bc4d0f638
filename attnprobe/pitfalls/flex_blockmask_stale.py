"""A BlockMask that is kept while documents change leaks across documents.

**What happens.** Training on packed or padded batches is right for the first batch. Later ones attend
across documents, or miss keys of their own, wherever a whole block of 128 changed. Nothing warns.

**Why.** Block sparsity is a snapshot taken by `create_block_mask`. When the tensors that `mask_mod`
reads are updated in place, only blocks that were partly filled notice.

**Experiment.** A mask whose blocks come from a batch with the same sequences in the opposite order, and
one built for this batch, both compiled, against the reference.

**Remedy.** Build the mask for every batch, with `torch.compile(create_block_mask)` so that it is cheap;
or keep one for each set of lengths.

**Versions.** FlexAttention of all releases, compiled.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls._blocks import BLOCK, spoilt

HABIT = "flex-mask-kept"


def suspect(here: Situation) -> str | None:
    """Lengths must differ by blocks: with equal ones every batch has the same mask."""
    lengths = here.case.lengths
    if not here.has(HABIT) or lengths is None:
        return None
    before = lengths.kv[::-1]
    if here.case.storage == "padded":
        changed = sum(map(spoilt, before, lengths.kv))
        what = f"{changed} of {here.case.B} samples have other blocks than"
    else:
        changed = sum(
            abs(a - b) >= BLOCK for a, b in zip(_ends(before), _ends(lengths.kv), strict=True)
        )
        what = f"{changed} of {len(before)} documents end in another block than"
    return f"the BlockMask is kept, and {what} in the batch before" if changed else None


def _ends(lengths: tuple[int, ...]) -> list[int]:
    return [sum(lengths[: n + 1]) for n in range(len(lengths))]


def predict(here: Situation) -> Prediction:
    """Whole blocks of 128 keys are missed or leak."""
    return Prediction("wrong", 1, 1, "blocks that were empty or full are not asked about again")


def experiment(here: Situation) -> Experiment:
    """One edit: when the BlockMask was built."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP020",
    severity="critical",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="block_mask = torch.compile(create_block_mask)(mask_mod, B, None, Q_LEN, KV_LEN)  # per batch",
    references=("torch@2.13.0:torch/nn/attention/flex_attention.py",),
)
