"""Which times of two runs of a trial can be compared, and how the others are excused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from attnprobe.compare import ratios
from attnprobe.compare.outcomes import standing
from attnprobe.compare.records import Speed
from attnprobe.core.outcome import Measured, Outcome
from attnprobe.core.timing import SAME, Duration, Timing

FIELDS = ("fwd_s", "bwd_s", "fwd_bwd_s")

TURNS = "turns: "
"""How the reason begins for which a trial took no more turns, among those of what is withheld."""

CPU_SHARED = 0.10
"""Share of the CPU that others may have had in a run whose times are compared with another one's: on two
cores with a load of 5, medians of the same software differed by up to 58% from run to run."""


@dataclass(frozen=True)
class Apart:
    """One pass that was timed in two runs.

    Args:
        field: fwd_s, bwd_s or fwd_bwd_s.
        device: Of the case.
        old: What it took in OLD.
        new: What it took in NEW.
    """

    field: str
    device: str
    old: Duration
    new: Duration

    def speed(self, confidence: float) -> Speed:
        """The comparison at this confidence."""
        ratio = ratios.independent(self.old, self.new, confidence)
        verdict = ratios.judged(ratio, ratios.allowance(self.device))
        return Speed(self.field, self.old.median, self.new.median, ratio, verdict)


@dataclass(frozen=True)
class InTurns:
    """One pass that both interpreters timed in the turns of one run.

    Args:
        field: fwd_s, bwd_s or fwd_bwd_s.
        old: OLD's medians, turn by turn, in seconds.
        new: NEW's in the same turns.
    """

    field: str
    old: tuple[float, ...]
    new: tuple[float, ...]

    def speed(self, confidence: float) -> Speed | str:
        """The comparison at this confidence, or why there is none."""
        ratio = ratios.paired(self.old, self.new, confidence)
        if isinstance(ratio, str):
            return f"{self.field}: {ratio}"
        verdict = ratios.judged(ratio, SAME)
        return Speed(self.field, median(self.old), median(self.new), ratio, verdict, paired=True)


Comparable = Apart | InTurns


def comparable(old: Outcome, new: Outcome, device: str) -> Iterator[Comparable | str]:
    """Every pass that both timed; for one that a side should have timed and did not, the reason.

    Wrong results have no times worth comparing.

    Args:
        old: Outcome in OLD.
        new: Outcome in NEW.
        device: Of the case.
    """
    if not isinstance(old, Measured) or not isinstance(new, Measured):
        return
    before, after = old.timing, new.timing
    if before is None or after is None or "wrong" in (standing(old), standing(new)):
        return
    cache = before.cache.partition(" ")[0], after.cache.partition(" ")[0]
    clocks = _clocks(before, after, ratios.allowance(device))
    if before.turns_of and before.turns_of == after.turns_of:
        yield from _in_turns(before, after)
        return
    busy = _busy(before, after) if device == "cpu" else ""
    for field in FIELDS:
        sides = getattr(before, field), getattr(after, field)
        gaps = [*_gaps("OLD", field, before), *_gaps("NEW", field, after)]
        if gaps:
            yield f"{field}: {'; '.join(gaps)}"
        elif None not in sides and cache[0] != cache[1]:
            yield f"{field}: the cache was {cache[0]} in OLD and {cache[1]} in NEW"
        elif None not in sides and busy:
            yield f"{field}: {busy}"
        elif None not in sides and clocks and any(side.bound != "memory" for side in sides):
            yield f"{field}: {clocks}"
        elif None not in sides:
            yield Apart(field, device, *sides)


def _clocks(before: Timing, after: Timing, agree: float) -> str:
    """That the GPU ran at two clocks, by more than times may differ between two runs; else empty."""
    gpus = [timing.conditions.gpu for timing in (before, after) if timing.conditions]
    clocks = [gpu.sm_clock_mhz.median for gpu in gpus if gpu and gpu.sm_clock_mhz]
    if len(clocks) < 2 or max(clocks) <= (1.0 + agree) * min(clocks):
        return ""
    return f"the SM clock was {clocks[0]:.0f} MHz in OLD and {clocks[1]:.0f} MHz in NEW"


def _busy(before: Timing, after: Timing) -> str:
    """That other processes had the CPU, in one run or both; else empty."""
    sides = {"OLD": before.conditions, "NEW": after.conditions}
    shares = {
        side: seen.cpu.others
        for side, seen in sides.items()
        if seen and seen.cpu and (seen.cpu.others or 0.0) >= CPU_SHARED
    }
    taken = " and ".join(f"{share:.0%} of the CPU in {side}" for side, share in shares.items())
    return f"other processes had {taken}" if taken else ""


def _in_turns(before: Timing, after: Timing) -> Iterator[InTurns | str]:
    """The turns that both took, pass by pass; or why they took no more of them."""
    lost = [reason for reason in after.withheld if reason.startswith(TURNS)]
    if lost:
        yield from lost
        return
    theirs = {turn.number: turn for turn in after.turns}
    pairs = [(turn, theirs[turn.number]) for turn in before.turns if turn.number in theirs]
    for field in FIELDS:
        times = [(getattr(mine, field), getattr(other, field)) for mine, other in pairs]
        both = [(a, b) for a, b in times if ratios.is_time(a) and ratios.is_time(b)]
        if both:
            yield InTurns(field, *map(tuple, zip(*both, strict=True)))


def _gaps(side: str, field: str, timing: Timing) -> Iterator[str]:
    """Why a side has no such time, or none that can be used."""
    found: Duration | None = getattr(timing, field)
    if found is not None and not ratios.is_sound(found):
        yield f"{side}: its interval is none"
    for reason in timing.withheld:
        of, _, why = reason.partition(": ")
        if of == field:
            yield f"{side}: {why}"
