"""Where packed sequences start: the integers that flash-attn, varlen_attn and nested tensors take."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from attnprobe.core.case import Case


@dataclass(frozen=True)
class Packed:
    """Starts and lengths of the sequences of a case whose rows lie one behind the other.

    Full padded tensors count as B sequences of equal length: (B, M, H, K) viewed as (B * M, H, K).

    Args:
        cu_q: (sequences + 1,) int32: first query row of each sequence, and the end of the last.
        cu_kv: (sequences + 1,) int32: the same for keys; slots of Mkv with storage packed-padded-keys.
        max_q: The longest query sequence; a smaller value leaves rows uncomputed, silently.
        max_kv: The longest key sequence.
        used_kv: (sequences,) int32: keys in use of each slot; None where all are.
    """

    cu_q: Tensor
    cu_kv: Tensor
    max_q: int
    max_kv: int
    used_kv: Tensor | None

    @classmethod
    def of(cls, case: Case, device: torch.device | str) -> Packed:
        """The starts of a case without padded lengths."""
        q, kv = [s.Mq for s in case.sequences], [s.Mkv for s in case.sequences]
        slots = case.storage == "packed-padded-keys"
        return cls(
            cu_q=_starts(q, device),
            cu_kv=_starts([case.Mkv] * case.B if slots else kv, device),
            max_q=max(q),
            max_kv=max(kv),
            used_kv=torch.tensor(kv, dtype=torch.int32, device=device) if slots else None,
        )


def _starts(lengths: list[int], device: torch.device | str) -> Tensor:
    return torch.tensor([0, *accumulate(lengths)], dtype=torch.int32, device=device)


def padded_lengths(case: Case, library: str) -> list[str]:
    """Why lengths inside padded (B, M) slots cannot be said to a library that knows packed rows only."""
    if case.lengths is None or case.storage != "padded":
        return []
    return [f"{library} takes no lengths within padded (B, M) slots: pack the sequences"]
