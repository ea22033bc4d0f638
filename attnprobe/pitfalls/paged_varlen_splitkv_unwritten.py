"""Paged decoding with split keys writes the first sequence only.

**What happens.** In a batch, sequence 0 is right and the others hold whatever was in memory.

**Why.** Keys that are split have partial results, which a second kernel combines; for packed queries
it is given a batch stride of 0 for the output, so that all sequences write where the first belongs.

**Experiment.** `num_splits=2` against `num_splits=1` on the same pages.

**Remedy.** `num_splits=1`; it also makes the result independent of who else is in the batch.

**Versions.** torch's `varlen_attn` with a block table (torch 2.11 had none) on FlashAttention-2; open
in August 2026. flash-attn itself now refuses splits there.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall, Untestable
from attnprobe.diagnosis.situation import Situation

HABIT = "varlen-paged-splits"


def suspect(here: Situation) -> str | None:
    """More than one sequence, decoded from pages in several splits."""
    if here.on_cuda and here.has(HABIT) and here.case.B > 1:
        return f"varlen_attn reads pages of {here.case.B} sequences with num_splits > 1"
    return None


def predict(here: Situation) -> Prediction:
    """How much is unwritten."""
    return Prediction(
        "wrong", 1, 1, f"{here.case.B - 1} of {here.case.B} sequences are not written"
    )


def experiment(here: Situation) -> Experiment | Untestable:
    """One edit: the number of splits."""
    if here.release("torch") < (2, 12):
        return Untestable("varlen_attn of this torch has no block_table; a torch from 2.12 on has")
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP038",
    severity="critical",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="varlen_attn(q, k_pages, v_pages, cu_q, None, max_q, max_k, seqused_k=used,\n"
    "            block_table=table, num_splits=1)",
    references=("pytorch#194167", "pytorch#194168", "flash-attention#2550"),
)
