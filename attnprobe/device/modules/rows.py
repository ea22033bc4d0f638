"""How a layer's tokens are stored: packed as they are, in padded slots, or as a jagged nested tensor.

`x` and `out` have the queries' lengths, `memory` those of the keys; weights are left as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

TOKENS = ("x", "memory", "out")


class AsTheyAre:
    """(T, D): real tokens one behind the other."""

    def native(self, name: str, canonical: Tensor) -> Tensor:
        """Unchanged."""
        return canonical

    def canonical(self, name: str, native: Tensor) -> Tensor:
        """Unchanged."""
        return native


@dataclass(frozen=True)
class Slots:
    """Where the tokens of sequences lie in (B, M) slots.

    Args:
        lengths: Tokens by sequence.
        device: Where the tensors are.
    """

    lengths: tuple[int, ...]
    device: torch.device

    @property
    def M(self) -> int:  # noqa: N802 - the field's name for a length
        """The longest sequence."""
        return max(self.lengths)

    @property
    def real(self) -> Tensor:
        """(B, M) bool: True where a slot holds a token."""
        lengths = torch.tensor(self.lengths, device=self.device)
        return torch.arange(self.M, device=self.device) < lengths[:, None]

    @property
    def padding(self) -> float:
        """Share of the slots that hold no token."""
        return 1.0 - sum(self.lengths) / (len(self.lengths) * self.M)


@dataclass(frozen=True)
class Padded:
    """(B, M, D), zero where there is no token.

    Args:
        q: Slots of `x` and `out`.
        kv: Slots of `memory`.
    """

    q: Slots
    kv: Slots

    def native(self, name: str, canonical: Tensor) -> Tensor:
        """Tokens put into their slots."""
        if name not in TOKENS:
            return canonical
        slots = self.kv if name == "memory" else self.q
        rows = canonical.new_zeros(len(slots.lengths), slots.M, canonical.shape[-1])
        rows[slots.real] = canonical
        return rows

    def canonical(self, name: str, native: Tensor) -> Tensor:
        """Tokens taken out of their slots."""
        if name not in TOKENS:
            return native
        return native[(self.kv if name == "memory" else self.q).real]


@dataclass(frozen=True)
class Starts:
    """Where sequences begin in a packed row, as nested tensors want it.

    Args:
        offsets: (sequences + 1,) int64; one tensor for all that share lengths, because a nested
            tensor's ragged size is compared by its identity.
        shortest: Tokens of the shortest sequence.
        longest: Of the longest.
    """

    offsets: Tensor
    shortest: int
    longest: int

    @classmethod
    def of(cls, lengths: Sequence[int], device: torch.device) -> Starts:
        """From lengths."""
        offsets = torch.tensor([0, *accumulate(lengths)], device=device)
        return cls(offsets, min(lengths), max(lengths))


@dataclass(frozen=True)
class Jagged:
    """(B, j, D) nested.

    Args:
        q: Starts of `x` and `out`.
        kv: Starts of `memory`.
    """

    q: Starts
    kv: Starts

    def native(self, name: str, canonical: Tensor) -> Tensor:
        """The rows made nested."""
        if name not in TOKENS:
            return canonical
        starts = self.kv if name == "memory" else self.q
        return torch.nested.nested_tensor_from_jagged(
            canonical, starts.offsets, min_seqlen=starts.shortest, max_seqlen=starts.longest
        )

    def canonical(self, name: str, native: Tensor) -> Tensor:
        """The rows."""
        return native.values() if name in TOKENS else native
