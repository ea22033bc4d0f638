"""What each backend costs on each case: the timing, and what was asked because of it, as one thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured
from attnprobe.core.report import Report
from attnprobe.core.timing import Duration, Timing, Versus
from attnprobe.core.trial import Record
from attnprobe.report.compose import reading
from attnprobe.report.compose.broken import describe
from attnprobe.report.compose.glyphs import (
    ABSENT,
    BROKEN,
    NO_POWER,
    REFUSED,
    REROUTED,
    RIGHT,
    UNCHECKED,
    WRONG,
    State,
    state,
)

RANKS = (RIGHT, REROUTED, NO_POWER, UNCHECKED, WRONG, BROKEN, REFUSED, ABSENT)
"""In which order backends are listed: a wrong one is never fast."""


@dataclass(frozen=True)
class Cost:
    """One backend on one case.

    Args:
        case: The case as it was asked for.
        record: Its timing; of the forward alone where the backward was refused.
        versus: How it compares with a rival; None where that was not asked.
        weighed: Memory that was measured by itself; None where the timing has it.
    """

    case: Case
    record: Record
    versus: Versus | None = None
    weighed: Timing | None = None

    @property
    def backend(self) -> str:
        """Who."""
        return self.record.trial.backend

    @property
    def state(self) -> State:
        """The verdict of this very trial."""
        return state(self.record.outcome)

    @property
    def forward_alone(self) -> bool:
        """True when the backward was refused and the forward was timed instead."""
        return self.record.trial.case.passes != self.case.passes

    @property
    def timing(self) -> Timing:
        """What was measured; empty where nothing was."""
        return reading.timing(self.record) or Timing()

    @property
    def duration(self) -> Duration | None:
        """What it is ranked by: all that the case asks for; None where that was not measured."""
        return None if self.forward_alone else reading.cost(self.record)

    @property
    def trusted(self) -> bool:
        """True when it is right, and timed."""
        return self.state is RIGHT and self.duration is not None

    @property
    def memory(self) -> Timing:
        """Where peak, floor and how they were taken stand."""
        return self.weighed if self.weighed and self.weighed.peak_bytes is not None else self.timing

    @property
    def kernels(self) -> tuple[str, ...]:
        """What really ran."""
        outcome = self.record.outcome
        return outcome.kernels if isinstance(outcome, Measured) else ()

    @property
    def unexpected_kernel(self) -> str:
        """Why that is another backend's work; empty when it is not."""
        outcome = self.record.outcome
        return outcome.unexpected_kernel if isinstance(outcome, Measured) else ""


ByCase = Mapping[Case, list[Cost]]


def costs(report: Report) -> ByCase:
    """Every timed case with its backends, right ones first and fastest first."""
    timed = reading.grouped(reading.timed(report), lambda record: record.trial.case)
    by_case = {case: {r.trial.backend: r for r in same} for case, same in timed.items()}
    versus = {_key(r): _versus(r) for r in report.records if r.trial.question == "compare"}
    weighed = {_key(r): reading.timing(r) for r in report.records if r.trial.question == "fits"}
    found: dict[Case, dict[str, Cost]] = {}
    for case, same in by_case.items():
        asked = _whole(case, by_case)
        mine = found.setdefault(asked, {})
        for backend, record in same.items():
            if backend not in mine or isinstance(record.outcome, Measured):
                key = _key(record)
                mine[backend] = Cost(asked, record, versus.get(key), weighed.get(key))
    return {case: ranked(list(same.values())) for case, same in found.items()}


def _whole(case: Case, by_case: Mapping[Case, Mapping[str, Record]]) -> Case:
    """The case that was asked for: a forward may have been timed because its backward was refused."""
    whole = case.edit(passes="fwd+bwd")
    if case.passes != "fwd" or whole not in by_case:
        return case
    both = by_case[whole].keys() & by_case[case].keys()
    asked_for = any(isinstance(by_case[whole][name].outcome, Measured) for name in both)
    return case if asked_for else whole


def ranked(same: list[Cost]) -> list[Cost]:
    """Right ones first and fastest first; what was not measured last."""

    def rank(cost: Cost) -> tuple[int, bool, float]:
        duration = cost.duration
        return (
            RANKS.index(cost.state),
            cost.forward_alone,
            duration.median if duration else float("inf"),
        )

    return sorted(same, key=rank)


def fastest(same: list[Cost]) -> Cost | None:
    """The fastest backend that is right; None when no right one was timed."""
    return next((cost for cost in ranked(same) if cost.trusted), None)


def _key(record: Record) -> tuple[Case, str]:
    return record.trial.case, record.trial.backend


def _versus(record: Record) -> Versus:
    outcome = record.outcome
    if isinstance(outcome, Measured) and outcome.versus:
        return outcome.versus
    return Versus(record.trial.rival, withheld=(describe(outcome),))
