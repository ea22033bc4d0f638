"""What is known of a mask's rows, and the range of keys that a row of a structured mask allows.

A row that allows a contiguous range of keys is its first and last allowed key and nothing else: where
the number of allowed keys is `last - first + 1`, these numbers are the row, and comparing them is a
proof. Rows with gaps are compared by the sum of a random 64-bit number per allowed key, modulo 2^64:
two different rows have the same sum with a probability of 2^-64.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attnprobe.core.mask import Mask
from attnprobe.masks.block_diagonal import BlockDiagonal
from attnprobe.masks.prefix_lm import PrefixLM


@dataclass(frozen=True)
class Rows:
    """The rows of U different planes of a mask; integers on the CPU.

    Args:
        Mkv: Number of keys.
        first: (U, Mq) first allowed key; 0 where none is.
        last: (U, Mq) last allowed key; -1 where none is.
        count: (U, Mq) allowed keys.
        total: (U, Mq) sum of `weights` over the allowed keys, modulo 2^64.
        columns: (U, Mkv) whether any query may attend this key.
    """

    Mkv: int
    first: Tensor
    last: Tensor
    count: Tensor
    total: Tensor
    columns: Tensor

    @property
    def planes(self) -> int:
        """U."""
        return self.first.shape[0]

    @property
    def Mq(self) -> int:  # noqa: N802 - the field's name
        """Number of queries."""
        return self.first.shape[1]

    @property
    def allowing(self) -> Tensor:
        """(U, Mq) whether the row allows any key."""
        return self.count > 0

    @property
    def contiguous(self) -> bool:
        """Whether `first` and `last` say everything."""
        return bool((self.last - self.first + 1 == self.count).all())

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """All tensors, in the order of the fields."""
        return self.first, self.last, self.count, self.total, self.columns

    def take(self, planes: Tensor | slice) -> Rows:
        """Some of them."""
        return Rows(self.Mkv, *(part[planes] for part in self.parts))


@dataclass(frozen=True)
class Boxes:
    """Where the sequence of each row lies: queries from `q_start` on, keys from `kv_start` on.

    Args:
        q_start: (U, Mq), per row, the first query of its sequence.
        Mq: (U, Mq) queries of its sequence; 0 for a row that belongs to none.
        kv_start: (U, Mq) first key of its sequence.
        Mkv: (U, Mq) keys of its sequence.
    """

    q_start: Tensor
    Mq: Tensor
    kv_start: Tensor
    Mkv: Tensor

    @property
    def row(self) -> Tensor:
        """(U, Mq) number of the row within its sequence."""
        return torch.arange(self.Mq.shape[1]) - self.q_start

    def shift(self, mask: Mask) -> Tensor | int:
        """Column of the aligned diagonal in a sequence's first row."""
        return 0 if mask.align == "top-left" else self.Mkv - self.Mq


def interval(mask: Mask, boxes: Boxes) -> tuple[Tensor, Tensor]:
    """First and last key that each row allows, as `Rows` has them, without making the mask.

    Args:
        mask: A band, with prefix-lm and block-diagonal at most.
        boxes: Where the sequences lie.
    """
    diagonal = boxes.row + boxes.shift(mask)
    first, last = torch.zeros_like(diagonal), boxes.Mkv - 1
    if mask.left is not None:
        first = torch.maximum(first, diagonal - mask.left)
    if mask.right is not None:
        last = torch.minimum(last, diagonal + mask.right)
    for predicate in mask.predicates:
        match predicate:
            case PrefixLM(prefix):
                last = torch.minimum(last, diagonal.clamp(min=prefix - 1))
            case BlockDiagonal(size):
                block = torch.div(diagonal, size, rounding_mode="floor") * size
                first, last = torch.maximum(first, block), torch.minimum(last, block + size - 1)
            case _:
                raise ValueError(f"rows of {mask.text} may have gaps")
    empty = (first > last) | (boxes.row < 0) | (boxes.row >= boxes.Mq)
    return (first + boxes.kv_start).masked_fill(empty, 0), (last + boxes.kv_start).masked_fill(
        empty, -1
    )


def weights(Mkv: int, device: torch.device | str = "cpu") -> Tensor:
    """(Mkv,) pseudo-random 64-bit integers, the same on every device, without any generator.

    The mixing function of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
    generators", OOPSLA 2014) with arithmetic shifts in place of logical ones.
    """
    state = torch.arange(1, Mkv + 1, dtype=torch.int64, device=device) * _GAMMA
    state = (state ^ (state >> 30)) * _FIRST
    state = (state ^ (state >> 27)) * _SECOND
    return state ^ (state >> 31)


def _signed(unsigned: int) -> int:
    return unsigned - 2**64 if unsigned >= 2**63 else unsigned


_GAMMA, _FIRST, _SECOND = map(_signed, (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
