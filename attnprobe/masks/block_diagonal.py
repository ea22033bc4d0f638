"""Tokens attend within blocks of a fixed size."""

from dataclasses import dataclass
from typing import Any

from attnprobe.core.mask import Align, Mask, Predicate


@dataclass(frozen=True)
class BlockDiagonal(Predicate):
    """Keys in the same block of `size` tokens as the aligned diagonal."""

    size: int
    name = "block-diagonal"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size is {self.size}; it must be at least 1")

    def allows(self, i: Any, j: Any, shift: Any) -> Any:
        """See `Predicate.allows`."""
        return (i + shift) // self.size == j // self.size


def block_diagonal(size: int, align: Align) -> Mask:
    """Blocks of `size` keys, counted from key 0; a query belongs to the block of its diagonal.

    For blocks of different sizes use lengths with packed storage instead (documents).

    Args:
        size: Keys per block.
        align: Where the diagonal starts.

    >>> print(block_diagonal(2, "top-left").picture(2, 5))
    1 1 . . .
    1 1 . . .
    >>> print(block_diagonal(2, "bottom-right").picture(2, 5))
    . . 1 1 .
    . . . . 1
    >>> print(block_diagonal(2, "top-left").picture(5, 2))
    1 1
    1 1
    . .
    . .
    . .
    """
    return Mask(None, None, align, (BlockDiagonal(size),))
