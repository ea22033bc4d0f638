"""A cu_seqlens without its leading zero computes other sequences.

**What happens.** The first document's rows are garbage, and shapes and types are in order. With several
documents of one length, everything else looks right.

**Why.** The kernel wants N + 1 starts as int32, the first 0 and the last the number of tokens. It checks
the type. Rows before the first or behind the last start belong to no sequence and stay as allocated.

**Experiment.** varlen_attn told the bare running sum, in memory that held NaN, and told the starts.

**Remedy.** Pad the running sum: `F.pad(lengths.cumsum(0, dtype=torch.int32), (1, 0))`.

**Versions.** torch's varlen_attn, flash_attn_varlen_func of all releases.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "varlen-cumsum-alone"


def suspect(here: Situation) -> str | None:
    """Two sequences at least: with one the bare sum is refused for its shape."""
    lengths = here.case.lengths
    if not here.on_cuda or not here.has(HABIT) or lengths is None or here.case.storage != "packed":
        return None
    if len(lengths.q) < 2 or not lengths.q[0]:
        return None
    return f"cu_seqlens begins with {lengths.q[0]}: the first {lengths.q[0]} rows belong to no sequence"


def predict(here: Situation) -> Prediction:
    """The rows of the first sequence, to the last one."""
    return Prediction("wrong", 1, 1, "rows outside of cu_seqlens are left as allocated")


def experiment(here: Situation) -> Experiment:
    """One edit: the leading zero."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm("varlen"))


PITFALL = Pitfall(
    code="AP024",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="cu_seqlens = F.pad(lengths.cumsum(0, dtype=torch.int32), (1, 0))",
    references=(
        "flash-attention#1661",
        "Dao-AILab/flash-attention@v2.8.3:csrc/flash_attn/flash_api.cpp",
    ),
)
