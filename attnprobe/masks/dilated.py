"""Every `step`-th diagonal."""

from dataclasses import dataclass
from typing import Any

from attnprobe.core.mask import Align, Mask, Predicate


@dataclass(frozen=True)
class Dilated(Predicate):
    """Keys whose distance from the diagonal is a multiple of `step`."""

    step: int
    name = "dilated"

    def __post_init__(self) -> None:
        if self.step < 1:
            raise ValueError(f"step is {self.step}; it must be at least 1")

    def allows(self, i: Any, j: Any, shift: Any) -> Any:
        """See `Predicate.allows`."""
        return (j - i - shift) % self.step == 0


def dilated(step: int, align: Align) -> Mask:
    """The aligned diagonal and every `step`-th one beside it, in both directions.

    Combine it with `causal` or `sliding-window`: `sliding-window(left=8, right=0) & dilated(step=2)`.
    Source: the dilated pattern of Child et al., arXiv:1904.10509, section 4 ("strided attention").

    Args:
        step: Distance between attended keys; 1 is no mask.
        align: Where the diagonal starts.

    >>> print(dilated(2, "top-left").picture(2, 5))
    1 . 1 . 1
    . 1 . 1 .
    >>> print(dilated(2, "bottom-right").picture(5, 2))
    . 1
    1 .
    . 1
    1 .
    . 1
    """
    return Mask(None, None, align, (Dilated(step),))
