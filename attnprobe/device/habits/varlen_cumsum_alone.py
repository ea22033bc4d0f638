"""cu_seqlens is the running sum of the lengths, without the 0 in front.

Sequence n then begins where sequence n ends: the first sequence is nobody's, and its rows are not
computed. Source: https://github.com/Dao-AILab/flash-attention/blob/v2.8.3/csrc/flash_attn/flash_api.cpp
checks type and shape alone.
"""

from __future__ import annotations

from typing import Any

from attnprobe.device.habits._varlen import Told


def _ends(right: dict[str, Any]) -> dict[str, Any]:
    return {name: right[name][1:].contiguous() for name in ("cu_seq_q", "cu_seq_k")}


WRITTEN = Told("written/varlen-cumsum-alone", _ends)
