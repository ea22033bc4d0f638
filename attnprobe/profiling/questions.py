"""What is asked of every backend about a case, and what an answer makes one ask next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from attnprobe import plan
from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured
from attnprobe.core.sampling import DEFAULT, Sampling
from attnprobe.core.trial import Record, Trial
from attnprobe.profiling import duration
from attnprobe.profiling.contestants import Contestants
from attnprobe.workload import Call

_LONGEST_BUDGET_S = 10.0
_SHORTEST_BUDGET_S = 0.2


def sampling(target_ci_percent: float, warm: bool) -> Sampling:
    """How time is taken for a wanted interval, given as half its width in per cent of the median.

    The interval of a median narrows with the root of the time spent, so that half the width costs four
    times the budget.
    """
    target = target_ci_percent / 100
    if target == DEFAULT.target_ci:
        return replace(DEFAULT, warm=warm)
    budget = DEFAULT.budget_s * (DEFAULT.target_ci / target) ** 2
    return Sampling(target, min(_LONGEST_BUDGET_S, max(_SHORTEST_BUDGET_S, budget)), warm)


def timings(
    calls: Iterable[Call], contestants: Contestants, how: Sampling = DEFAULT
) -> list[Trial]:
    """Every case timed with everybody, its rival first; a large case gets a larger budget."""
    return [
        Trial(call.case, name, "time", duration.roomy(how, call.case))
        for call in calls
        for name in contestants.of(call)
    ]


class Further:
    """The questions that a timing raises: once more without backward, its memory, against its rival.

    On a CPU memory is the peak resident set of a fresh child, which is a question of its own. A backend
    is compared only where both it and its rival were timed and right; the rival's record comes first.

    Args:
        calls: The cases.
        contestants: Who is timed on them.
    """

    def __init__(self, calls: Iterable[Call], contestants: Contestants) -> None:
        self._rivals = {call.case: contestants.rival(call) for call in calls}
        self._right: set[tuple[Case, str]] = set()

    def __call__(self, record: Record) -> tuple[Trial, ...]:
        """What is asked next."""
        trial = record.trial
        if trial.question != "time":
            return ()
        if not _right(record):
            return plan.forward_alone(record)
        self._right.add((trial.case, trial.backend))
        found = []
        if trial.case.device == "cpu" and not trial.case.module:
            found.append(Trial(trial.case, trial.backend, "fits"))
        rival = self._rivals.get(trial.case, "")
        if rival not in ("", trial.backend) and (trial.case, rival) in self._right:
            found.append(replace(trial, question="compare", rival=rival))
        return tuple(found)


def _right(record: Record) -> bool:
    """Timed, and not wrong."""
    outcome = record.outcome
    return (
        isinstance(outcome, Measured)
        and outcome.timing is not None
        and outcome.parity is not None
        and outcome.parity.verdict != "fail"
    )
