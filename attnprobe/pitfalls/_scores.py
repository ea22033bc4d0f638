"""What SDPA's kernels hold in memory, from shapes alone: with and without the matrix of scores.

A fused call ends with its output, gradients and log-sum-exp (`cost.floor_bytes`); its backward was
seen to take 1.26 to 1.75 times as much on an H200 (torch 2.11) and 1.6 to 1.8 times on a CPU (torch
2.13), its forward nothing more. The math kernel holds float32 matrices of B * Hq * Mq * Mkv scores:
two to three in a forward, three on the CPU and four on the GPU in a backward (1,048 MiB at B2 H8 M2048
K64 there).
"""

from __future__ import annotations

from attnprobe.core import cost, units
from attnprobe.core.case import Case
from attnprobe.core.diagnosis import Prediction
from attnprobe.diagnosis.situation import Situation

MATTERS = 1.5
"""Peaks that differ by less are not worth a finding."""

_FUSED = {"fwd": (1.0, 1.2), "bwd": (1.2, 2.0), "fwd+bwd": (1.2, 2.0)}
_MATRICES = {"fwd": (2, 3), "bwd": (3, 4), "fwd+bwd": (3, 4)}
_NOISE = 2**19
"""Pages that a resident set gains besides; matters for small cases on the CPU only."""

_PER_THREAD = {"fwd": 2**20, "bwd": 2**21, "fwd+bwd": 2**21}
"""Tiles of scores that each thread of the CPU's flash kernel holds: 256 x 512 numbers of float32 and,
for 16-bit inputs, a rounded copy; twice as many in the backward (torch 2.13: 0.9 and 2.2 MiB seen)."""


def fused(here: Situation, case: Case) -> tuple[float, float]:
    """Least and most bytes over its inputs that a fused call takes."""
    low, high = _FUSED[case.passes]
    floor, torch = cost.floor_bytes(case), here.environment.torch
    threads = 0 if here.on_cuda else (torch and torch.threads) or here.environment.cores
    return low * floor, high * floor + _NOISE + threads * _PER_THREAD[case.passes]


def extra(here: Situation, case: Case, added: float, what: str) -> Prediction:
    """Peak memory of a fused call that holds `added` bytes more, over one that does not.

    Args:
        here: Where it runs.
        case: The call without them.
        added: Bytes.
        what: What they are, in words.
    """
    low, high = fused(here, case)
    because = f"{what}, {units.size(round(added))}, over {_said(low, high)} of the call without it"
    return Prediction("memory", 1 + added / high, 1 + added / low, because)


def unfused(here: Situation, case: Case, besides: int = 0) -> Prediction:
    """Peak memory of the math kernel over that of a fused one.

    Args:
        here: Where it runs.
        case: The call.
        besides: Bytes that the fused call needs and the other does not: repeated heads, say.
    """
    low, high = fused(here, case)
    few, many = _MATRICES[case.passes]
    scores, floor = cost.score_bytes(case), cost.floor_bytes(case)
    because = (
        f"{few} to {many} float32 matrices of {units.size(scores)}, B * Hq * Mq * Mkv scores each, "
        f"over {_said(low, high + besides)} of a fused kernel"
    )
    least, most = few * scores / (high + besides), (many * scores + 2 * floor) / low
    return Prediction("memory", max(1.0, least), most, because)


def _said(low: float, high: float) -> str:
    return f"{units.size(round(low))} to {units.size(round(high))}"
