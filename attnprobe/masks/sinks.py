"""A causal window, and the first keys for all."""

from dataclasses import dataclass
from typing import Any

from attnprobe.core.mask import Align, Mask, Predicate


@dataclass(frozen=True)
class Sinks(Predicate):
    """Of the causal keys, those at most `left` back or before key `count`."""

    count: int
    left: int
    name = "sinks"

    def __post_init__(self) -> None:
        if self.count < 0 or self.left < 0:
            raise ValueError(f"count={self.count} and left={self.left} must be at least 0")

    def allows(self, i: Any, j: Any, shift: Any) -> Any:
        """See `Predicate.allows`."""
        return (j <= i + shift) & ((j >= i + shift - self.left) | (j < self.count))


def sinks(count: int, left: int, align: Align) -> Mask:
    """Causal attention to the last `left` + 1 keys and to the first `count` ones.

    Source: the attention sinks of Xiao et al., arXiv:2309.17453, section 3 (StreamingLLM), without
    their renumbering of positions.

    Args:
        count: Keys at the start that every later query attends.
        left: Keys before the diagonal.
        align: Where the diagonal starts.

    >>> print(sinks(1, 1, "top-left").picture(4, 4))
    1 . . .
    1 1 . .
    1 1 1 .
    1 . 1 1
    >>> print(sinks(1, 0, "bottom-right").picture(2, 5))
    1 . . 1 .
    1 . . . 1
    """
    return Mask(None, None, align, (Sinks(count, left),))
