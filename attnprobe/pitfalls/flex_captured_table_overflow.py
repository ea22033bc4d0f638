"""A mask_mod that reads a table of more than 2^31 elements reads the wrong ones.

**What happens.** Past 46,340 tokens (the root of 2^31) the mask is wrong, or the process dies at an
illegal address; shorter sequences are right.

**Why.** The compiled kernel computes where `table[q, k]` lies in 32-bit integers, like all indices of
a mask_mod, and the product wraps.

**Experiment.** The table indexed by q and k against the same read through one 64-bit offset.

**Remedy.** Say the mask without a table: document numbers of one dimension, arithmetic on q and k.
Where a table it must be, `flat[q.long() * Mkv + k]`.

**Versions.** Reported for FlexAttention on CUDA in 2026, seen with torch 2.11 on an H200; which
release of inductor is right was not known.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "flex-mask-table"


def suspect(here: Situation) -> str | None:
    """The habit, and a table whose last elements 32 bits cannot reach."""
    case = here.case
    if not here.on_cuda or not here.has(HABIT) or case.Mq * case.Mkv <= 2**31:
        return None
    return f"mask_mod reads a table of {case.Mq} x {case.Mkv} elements, more than 2^31"


def predict(here: Situation) -> Prediction:
    """The first row that cannot be reached."""
    row = 2**31 // here.case.Mkv
    return Prediction("wrong", 1, 1, f"row {row} of {here.case.Mq} is the first beyond 2^31")


def experiment(here: Situation) -> Experiment:
    """One edit: the width of the offset. Forward alone, which is where the mask is read."""
    written, mended = (here.arm(f"{side}/{HABIT}", passes="fwd") for side in ("written", "mended"))
    return Experiment(written, mended)


PITFALL = Pitfall(
    code="AP036",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="def mask_mod(b, h, q, k): return document[q] == document[k]  # (M,), no table of (M, M)",
    references=("NVIDIA-NeMo/Automodel#3802",),
)
