"""The search for the longest sequence that fits: doubling until one does not, then bisection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from attnprobe import plan
from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, Refused, TimedOut
from attnprobe.core.trial import Record, Trial
from attnprobe.profiling import fields
from attnprobe.workload import Call

STEP = 256
"""Lengths are searched in multiples of this from there on: tiles are 64 to 256 tokens long."""
CLOSE = 0.02
"""The search ends when what fits and what does not are this close."""
SHORTEST, LONGEST = 16, 2**24


def swept(case: Case) -> str:
    """The field that is made longer: queries and keys together, or the keys alone where they differ."""
    return "M" if case.Mq == case.Mkv else "Mkv"


@dataclass
class Search:
    """One backend on one case, length by length.

    Args:
        case: The case; its own length is tried first.
        backend: Who is asked.
        fits: The longest that ran; 0 for none yet.
        fails: The shortest that did not; None for none yet.
        over: The search ended before it knew: the library refuses, or a trial hung.
    """

    case: Case
    backend: str
    fits: int = 0
    fails: int | None = None
    over: bool = False

    def next(self) -> Trial | None:
        """The next length to try; None when the search is over."""
        length = self._length()
        if self.over or length is None:
            return None
        longer = fields.edit(self.case, swept(self.case), str(length))
        return Trial(longer, self.backend, "fits")

    def tell(self, record: Record) -> None:
        """What became of it. Who refuses the backward alone goes on without it."""
        length, outcome = record.trial.case.Mkv, record.outcome
        if isinstance(outcome, Measured):
            self.fits = max(self.fits, length)
        elif further := plan.forward_alone(record):
            self.case = self.case.edit(passes=further[0].case.passes)
        else:
            self.fails = length if self.fails is None else min(self.fails, length)
            refused = isinstance(outcome, Refused) and not self.fits
            self.over = refused or isinstance(outcome, TimedOut)

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


def searches(calls: Iterable[Call], backends: Sequence[str]) -> list[Search]:
    """One search per backend and case; cases that differ in length alone are one.

    Cases of a layer around attention are left out: what they need is mostly not attention's.
    """
    begins: dict[Case, Case] = {}
    for call in calls:
        if not call.case.module:
            alike = fields.edit(call.case, swept(call.case), str(STEP))
            begins.setdefault(alike, call.case)
    return [Search(case, name) for case in begins.values() for name in backends]
