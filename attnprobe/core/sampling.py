"""How time is taken: part of a trial that asks for it, because other ways give other numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sampling:
    """When sampling stops, and what the cache holds before a call.

    Args:
        target_ci: Relative half width of the median's interval at which sampling may stop: 0.02 reads
            "plus or minus 2%".
        budget_s: Seconds of sampling for all passes of a trial together. With 0.45 medians on an H200
            have intervals of about 0.3%.
        warm: One set of inputs again and again, so that calls find it in the cache; else copies in
            turn, or a flush.
    """

    target_ci: float = 0.02
    budget_s: float = 0.45
    warm: bool = False


DEFAULT = Sampling()
