"""What a call costs at least, for predictions: its matrix products on the fastest unit there is."""

from __future__ import annotations

from attnprobe.core import cost
from attnprobe.core.case import Case

RATES = {"float16": 989e12, "bfloat16": 989e12, "float32": 495e12, "float64": 67e12}
"""FLOP/s of an H200's tensor cores without sparsity, TF32 for float32 (NVIDIA H200 data sheet)."""


def forward_flops(case: Case) -> float:
    """Both matrix products over the pairs that attend; over all pairs where counting them takes long."""
    pairs = sum(
        cost.pairs(case.mask, s.Mq, s.Mkv) if case.mask.is_band else s.Mq * s.Mkv
        for s in case.sequences
    )
    return 2.0 * pairs * case.Hq * (case.K + case.Kv)


def fastest_s(case: Case) -> float:
    """Seconds below which no forward of this case ends on one GPU."""
    return forward_flops(case) / RATES[case.dtype]
