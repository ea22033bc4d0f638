"""A sequence gives other bits in another batch where flash splits the keys.

**What happens.** Log-probabilities differ between training and serving, or with what else is in the
batch.

**Why.** Where queries alone do not fill the GPU, flash splits the keys over thread blocks and adds up
the parts. How many they are depends on batch, heads and longest keys, and every part rounds its
probabilities beside its own maximum. Almost half of the outputs differed on an H200.

**Experiment.** The first sequence in its batch and alone, by flash and by the memory-efficient kernel,
which does not split.

**Remedy.** `num_splits=1` of varlen_attn and of flash-attn's cache function; or the memory-efficient
kernel.

**Versions.** Flash kernels of torch, flash-attn 2 and 3; `num_splits` is in varlen_attn of torch 2.13.
"""

from __future__ import annotations

import math

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "batch-invariance"


def suspect(here: Situation) -> str | None:
    """The number of splits of one sequence must differ from that of the batch."""
    case = here.case
    wanted = here.has(HABIT) or here.subject.needs.deterministic
    plain = case.score.bias is None and case.lengths is None and not case.dropout_p
    if not here.on_cuda or not wanted or not here.calls("sdpa-flash") or not plain:
        return None
    alone, together = _splits(here, 1), _splits(here, case.B)
    if alone == together:
        return None
    return (
        f"alone the keys of a sequence are split in {alone}, in a batch of {case.B} in {together}"
    )


def _splits(here: Situation, B: int) -> int:
    """`set_params_splitkv` and `num_splits_heuristic` of flash_api.cpp, v2.8.3."""
    case, slots = here.case, 2 * here.multiprocessors
    keys = -(-case.Mkv // (256 if case.K <= 64 else 128 if case.K <= 128 else 64))
    heads, rows = (case.Hkv, case.groups) if case.Mq == 1 else (case.Hq, case.Mq)
    blocks = B * heads * -(-rows // 64)
    if blocks >= 0.8 * slots:
        return 1
    tried = [
        n
        for n in range(1, min(128, slots, keys) + 1)
        if n == 1 or -(-keys // n) != -(-keys // (n - 1))
    ]
    efficiency = {n: (waves := blocks * n / slots) / math.ceil(waves) for n in tried}
    best = max(efficiency.values())
    return next(n for n in tried if efficiency[n] >= 0.85 * best)


def predict(here: Situation) -> Prediction:
    """Probabilities are rounded to 16 bits beside the largest of their own split.

    Two such sums differ by sqrt(2) rounding errors of s / sqrt(12) each, s the spacing of numbers, whose
    mean size is sqrt(2 / pi) of that: a third of a spacing, and as often the output's rounding flips.
    """
    flips = math.sqrt(2 / 12) * math.sqrt(2 / math.pi)
    why = "rounded beside another maximum, one output in three rounds otherwise (1/4 to 2 of that)"
    return Prediction("value", flips / 4, 2 * flips, why, "share of the output that differs")


def experiment(here: Situation) -> Experiment:
    """One edit: a kernel that does not split."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP112",
    severity="low",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="varlen_attn(q, k, v, cu_q, cu_k, max_q, max_k, num_splits=1)",
    references=(
        "torch@2.13.0:torch/nn/attention/varlen.py",
        "flash-attention#1570",
        "Dao-AILab/flash-attention@v2.8.3:csrc/flash_attn/flash_api.cpp",
    ),
)
