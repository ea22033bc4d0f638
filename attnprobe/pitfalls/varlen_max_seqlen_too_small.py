"""A max_seqlen that is too small leaves the tails of long sequences uncomputed.

**What happens.** Long documents have garbage at their ends: whatever the memory of the output held
before, sometimes NaN, sometimes last step's numbers. Nothing warns.

**Why.** The kernel's grid is made by `max_seqlen_q`, its output by `empty_like`, and nothing compares
the number with `cu_seqlens`: that would wait for the GPU. Blocks of 128 queries hide small errors.

**Experiment.** varlen_attn told the mean length, in memory that held NaN, and told the longest.

**Remedy.** The longest length of this batch, taken on the host where the batch is made; a bound that is
too large is safe and costs little.

**Versions.** torch's varlen_attn, flash_attn_varlen_func of all releases, xFormers masks built by hand.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "varlen-mean-length"
BLOCK = 128
"""Queries of a thread block, at most: `kBlockM` of flash_fwd_launch_template.h."""


def suspect(here: Situation) -> str | None:
    """Some sequence must outlast the blocks that the mean makes."""
    lengths = here.case.lengths
    if not here.on_cuda or not here.has(HABIT) or lengths is None or here.case.storage != "packed":
        return None
    mean = sum(lengths.q) // len(lengths.q)
    computed = -(-mean // BLOCK) * BLOCK
    lost = sum(max(0, length - computed) for length in lengths.q)
    if not lost:
        return None
    rows = f"{lost} of {sum(lengths.q)} rows"
    return f"max_seqlen is {mean}, the longest has {max(lengths.q)}: {rows} are lost"


def predict(here: Situation) -> Prediction:
    """Rows past the last block of the grid."""
    return Prediction("wrong", 1, 1, f"the grid has ceil(max_seqlen / {BLOCK}) blocks per sequence")


def experiment(here: Situation) -> Experiment:
    """One edit: max_seqlen."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm("varlen"))


PITFALL = Pitfall(
    code="AP023",
    severity="critical",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="max_seqlen = max(lengths)  # a Python list, where the batch is made; or any upper bound",
    references=(
        "flash-attention#1773",
        "flash-attention#1664",
        "Dao-AILab/flash-attention@v2.8.3:csrc/flash_attn/flash_api.cpp",
    ),
)
