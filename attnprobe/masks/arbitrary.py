"""A mask without structure: pseudo-random pairs."""

from dataclasses import dataclass
from typing import Any, ClassVar

from attnprobe.core.mask import Mask, Predicate

PRIME = 46_337  # the largest prime whose square fits into 31 bits: flex computes in int32


@dataclass(frozen=True)
class Arbitrary(Predicate):
    """About `percent` of the pairs, drawn by a hash of (seed, i, j), and key 0 for all."""

    seed: int
    percent: int
    name = "arbitrary"
    aligned: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= self.percent <= 100:
            raise ValueError(f"percent is {self.percent}; it must be in 0..100")
        if not 0 <= self.seed < 2**31:
            raise ValueError(f"seed is {self.seed}; it must be in 0..2^31 - 1")

    def allows(self, i: Any, j: Any, shift: Any) -> Any:
        """See `Predicate.allows`. No intermediate exceeds PRIME ** 2."""
        row, column = i % PRIME, j % PRIME
        mixed = (row * 40_503 + self.seed % PRIME) % PRIME
        mixed = (mixed * mixed + column) % PRIME
        mixed = (mixed * mixed + row) % PRIME
        mixed = (mixed * mixed + column) % PRIME
        mixed = mixed * 20_011 % PRIME
        return (mixed * 100 < self.percent * PRIME) | (j == 0)


def arbitrary(seed: int, percent: int) -> Mask:
    """A boolean mask that no library has a word for, the same on every machine and device.

    Key 0 is attended by every query, so that no row is empty.

    Args:
        seed: Which mask.
        percent: Share of allowed pairs, 0 to 100.

    >>> print(arbitrary(seed=0, percent=40).picture(2, 5))
    1 . . 1 1
    1 1 1 1 .
    >>> print(arbitrary(seed=0, percent=40).picture(5, 2))
    1 .
    1 1
    1 1
    1 .
    1 1
    """
    return Mask(None, None, "top-left", (Arbitrary(seed, percent),))
