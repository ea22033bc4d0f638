"""The longest length that a varlen call is told is the mean, or that of another batch.

The grid is made by it, and nothing compares it with cu_seqlens: queries beyond are not computed.
Source: https://github.com/Dao-AILab/flash-attention/issues/1773
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from attnprobe.device.habits._varlen import Told


def _means(right: dict[str, Any]) -> dict[str, Any]:
    def mean(starts: Tensor) -> int:
        return int(starts[-1]) // (len(starts) - 1)

    return {"max_q": mean(right["cu_seq_q"]), "max_k": mean(right["cu_seq_k"])}


WRITTEN = Told("written/varlen-mean-length", _means)
