"""The search for the longest sequence that fits: doubling until one does not, then bisection."""

from __future__ import annotations

from dataclasses import dataclass, field

from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, Outcome, TimedOut
from attnprobe.core.trial import Trial
from attnprobe.profiling import fields

STEP = 256
"""Lengths are searched in multiples of this from there on: tiles are 64 to 256 tokens long."""
CLOSE = 0.02
"""The search ends when what fits and what does not are this close."""
SHORTEST, LONGEST = 16, 2**24


def swept(case: Case) -> str:
    """The field that is made longer: queries and keys together, or the keys of a decode or cross case."""
    return "M" if case.Mq == case.Mkv else "Mkv"


@dataclass
class Search:
    """One backend on one case, length by length.

    Args:
        case: The case; its own length is tried first.
        backend: Who is asked.
        fits: The longest that ran; 0 for none yet.
        fails: The shortest that did not; None for none yet.
        over: Why the search ended early; a time limit is no limit of memory.
    """

    case: Case
    backend: str
    fits: int = 0
    fails: int | None = None
    over: str = field(default="")

    def next(self) -> Trial | None:
        """The next length to try; None when the search is over."""
        length = self._length()
        if self.over or length is None:
            return None
        longer = fields.edit(self.case, swept(self.case), str(length))
        return Trial(longer, self.backend, "fits")

    def tell(self, length: int, outcome: Outcome) -> None:
        """What became of a trial of that length."""
        if isinstance(outcome, Measured):
            self.fits = max(self.fits, length)
        else:
            self.fails = length if self.fails is None else min(self.fails, length)
            if isinstance(outcome, TimedOut):
                self.over = "time"

    def _length(self) -> int | None:
        start = max(SHORTEST, self.case.Mkv)
        if self.fails is None:
            following = 2 * self.fits if self.fits else start
            return following if following <= LONGEST else None
        if not self.fits:
            return self.fails // 2 if self.fails > SHORTEST else None
        if self.fails - self.fits <= max(1, CLOSE * self.fits):
            return None
        middle = (self.fits + self.fails) // 2
        rounded = middle - middle % STEP
        return rounded if self.fits < rounded < self.fails else middle
