"""One glyph per outcome: readable without colour, one cell wide, and few enough to remember."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from attnprobe.core.backend_fact import Fact
from attnprobe.core.outcome import (
    Crashed,
    Measured,
    Outcome,
    OutOfMemory,
    Raised,
    Refused,
    TimedOut,
)
from attnprobe.report.document import Span, Tone


@dataclass(frozen=True)
class State:
    """What one cell of a matrix says.

    Args:
        glyph: One cell wide.
        tone: Colour, which repeats the glyph.
        meaning: Words for the legend.
    """

    glyph: str
    tone: Tone
    meaning: str

    @property
    def span(self) -> Span:
        """The glyph alone."""
        return Span(self.glyph, self.tone)


WRONG = State("✗", "bad", "wrong")
BROKEN = State("!", "bad", "raised, crashed, timed out or out of memory")
REROUTED = State("»", "weak", "right, but another kernel ran than was asked for")
PARTLY = State("~", "good", "right at some dtypes or forward only, refused at others")
RIGHT = State("✓", "good", "right")
UNCHECKED = State("o", "weak", "ran, not compared")
NO_POWER = State("?", "weak", "ran, but the bound is too wide to count as evidence")
REFUSED = State("-", "muted", "refused")
ABSENT = State(".", "muted", "not installed")
NOT_ASKED = State(" ", "muted", "not asked")

_WORST_FIRST = (WRONG, BROKEN, REROUTED, PARTLY, RIGHT, UNCHECKED, NO_POWER, REFUSED, ABSENT)
LEGEND_ORDER = (RIGHT, PARTLY, REROUTED, UNCHECKED, NO_POWER, WRONG, BROKEN, REFUSED, ABSENT)

FACTS: dict[Fact, State] = {
    "runs": RIGHT,
    "wrong": WRONG,
    "refused": REFUSED,
    "raised": BROKEN,
    "crashed": BROKEN,
    "timed_out": BROKEN,
    "out_of_memory": BROKEN,
    "absent": ABSENT,
    "broken": BROKEN,
    "not_run": NOT_ASKED,
}


def state(outcome: Outcome) -> State:
    """What became of one trial."""
    match outcome:
        case Measured(parity=None):
            return UNCHECKED
        case Measured(parity=parity, unexpected_kernel=other):
            verdicts = {"pass": RIGHT, "fail": WRONG, "no_power": NO_POWER, "none": UNCHECKED}
            found = verdicts[parity.verdict] if parity else UNCHECKED
            return REROUTED if other and found is RIGHT else found
        case Refused(by="absent"):
            return ABSENT
        case Refused(by="broken") | Raised() | Crashed() | TimedOut() | OutOfMemory():
            return BROKEN
        case Refused():
            return REFUSED


def fold(states: Iterable[State]) -> State:
    """Several trials in one cell: the worst, and `PARTLY` where right and refused meet."""
    found = set(states)
    if RIGHT in found and REFUSED in found:
        found.add(PARTLY)
    return next((each for each in _WORST_FIRST if each in found), NOT_ASKED)
