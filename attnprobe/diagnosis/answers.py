"""What the trials of one arm say: its time, its peak, whether it is right, whether it runs at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from attnprobe.core.diagnosis import Arm, Quantity
from attnprobe.core.outcome import (
    Crashed,
    Measured,
    Outcome,
    OutOfMemory,
    Raised,
    Refused,
    TimedOut,
)
from attnprobe.core.parity import Parity
from attnprobe.core.timing import Duration, Ratio, Timing
from attnprobe.core.trial import Record

OF_AN_ARM = ("time", "check", "verdict", "fits", "demonstrate")
"""Questions that say something of an arm by itself."""


@dataclass(frozen=True)
class Answers:
    """The outcomes of one arm, by question.

    Args:
        arm: Whose.
        outcomes: What was heard.
    """

    arm: Arm
    outcomes: Mapping[str, Outcome]

    @property
    def measured(self) -> Iterator[Measured]:
        """Those that ran."""
        return (o for o in self.outcomes.values() if isinstance(o, Measured))

    @property
    def parity(self) -> Parity | None:
        """Whether it is right, if anybody asked; one question that found it wrong is enough."""
        found = [m.parity for m in self.measured if m.parity is not None]
        return next((p for p in found if p.verdict == "fail"), found[0] if found else None)

    @property
    def timing(self) -> Timing | None:
        """What it costs, if anybody asked."""
        found = self.outcomes.get("time")
        return found.timing if isinstance(found, Measured) else None

    @property
    def duration(self) -> Duration | None:
        """Time per call of the case's passes; on a GPU that of the GPU."""
        return self.timing.of(self.arm.case.passes) if self.timing else None

    @property
    def launch_s(self) -> float | None:
        """Seconds per call in a loop, where launching sets the pace and not the GPU."""
        found = self.duration
        return found.wall_s if found is not None and found.launch_bound else None

    def clocked(self, quantity: Quantity) -> Duration | None:
        """The time that a prediction is about.

        Args:
            quantity: wall: as a loop of such calls takes it; time-per-sequence: shared out among
                the batch; else `duration`.
        """
        found = self.duration
        if found is None:
            return None
        if quantity == "time-per-sequence":
            return _scaled(found, 1 / self.arm.case.B)
        if quantity == "wall" and self.launch_s is not None and found.median > 0:
            return _scaled(found, self.launch_s / found.median)
        return found

    @property
    def peak(self) -> int | None:
        """Peak memory over the inputs in bytes."""
        peaks = (m.timing.peak_bytes for m in self.measured if m.timing is not None)
        return next((peak for peak in peaks if peak is not None), None)

    @property
    def kernels(self) -> str:
        """Form and kernels as one text."""
        return " ".join(part for m in self.measured for part in (m.form, *m.kernels))

    @property
    def trouble(self) -> str:
        """Why it did not run; empty when it did, or was not asked."""
        return next((words(o) for o in self.outcomes.values() if not isinstance(o, Measured)), "")

    @property
    def does_not_fit(self) -> bool:
        """Whether it ran out of memory, or needs more than there is."""
        return any(
            isinstance(o, OutOfMemory) or (isinstance(o, Refused) and o.by == "memory")
            for o in self.outcomes.values()
        )

    @property
    def wrong(self) -> str:
        """What is wrong with its numbers, the explanation where there is one; empty when nothing is."""
        if self.parity is None or self.parity.verdict != "fail":
            return ""
        said = (f.hypothesis if f.is_explained else f.message for f in self.parity.failures)
        return next(said, "accuracy")


def answers(arm: Arm, records: Mapping[str, Record]) -> Answers:
    """What the session heard of an arm, however its time was sampled."""
    return Answers(arm, {r.trial.question: r.outcome for r in _of(arm, records.values())})


def in_turns(one: Arm, other: Arm, records: Mapping[str, Record]) -> Ratio | None:
    """Time of one arm over that of another of the same case, from common rounds."""
    for record in records.values():
        trial, outcome = record.trial, record.outcome
        asked = (trial.question, trial.backend, trial.rival)
        if (
            asked == ("compare", one.backend, other.backend)
            and trial.case == one.case == other.case
        ):
            versus = outcome.versus if isinstance(outcome, Measured) else None
            if versus is not None:
                return versus.of(trial.case.passes)
    return None


def _of(arm: Arm, records: Iterable[Record]) -> Iterator[Record]:
    for record in records:
        trial = record.trial
        if trial.backend != arm.backend or trial.question not in OF_AN_ARM:
            continue
        if trial.case == arm.case and not trial.rival:
            yield record


def _scaled(found: Duration, by: float) -> Duration:
    return replace(found, median=found.median * by, low=found.low * by, high=found.high * by)


def words(outcome: Outcome) -> str:
    """Why an outcome is no measurement, in a clause."""
    match outcome:
        case Measured():
            return ""
        case Refused(by=by, reasons=reasons):
            return f"refused by {by}: {'; '.join(reasons)}"
        case Raised(type=kind, message=message, phase=phase):
            return f"{kind} in {phase}: {message.splitlines()[0] if message else ''}"
        case Crashed(signal=signal, exit_code=code, phase=phase):
            return f"the process died in {phase} ({signal or f'exit {code}'})"
        case TimedOut(limit_s=limit, phase=phase):
            return f"no answer within {limit:g} s ({phase})"
        case OutOfMemory(phase=phase):
            return f"out of memory in {phase}"
