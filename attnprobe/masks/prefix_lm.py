"""Causal, but the prefix is seen by all."""

from dataclasses import dataclass
from typing import Any

from attnprobe.core.mask import Align, Mask, Predicate


@dataclass(frozen=True)
class PrefixLM(Predicate):
    """Keys up to the diagonal or before key `prefix`."""

    prefix: int
    name = "prefix-lm"

    def __post_init__(self) -> None:
        if self.prefix < 0:
            raise ValueError(f"prefix is {self.prefix}; it must be at least 0")

    def allows(self, i: Any, j: Any, shift: Any) -> Any:
        """See `Predicate.allows`."""
        return (j <= i + shift) | (j < self.prefix)


def prefix_lm(prefix: int, align: Align) -> Mask:
    """Causal attention over a prefix that every query sees whole.

    Source: Raffel et al., arXiv:1910.10683, section 3.2.1 ("causal with prefix").

    Args:
        prefix: Number of keys at the start that every query attends.
        align: Where the causal diagonal starts; the prefix is counted from key 0 in any case.

    >>> print(prefix_lm(3, "top-left").picture(2, 5))
    1 1 1 . .
    1 1 1 . .
    >>> print(prefix_lm(1, "bottom-right").picture(5, 2))
    1 .
    1 .
    1 .
    1 .
    1 1
    """
    return Mask(None, None, align, (PrefixLM(prefix),))
