"""What is asked of every backend about a case, and what an answer makes one ask next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from attnprobe import plan
from attnprobe.core.outcome import Measured
from attnprobe.core.sampling import DEFAULT, Sampling
from attnprobe.core.trial import Record, Trial
from attnprobe.workload import Call

RIVAL = "sdpa-default"
"""What `scaled_dot_product_attention` takes by itself: the alternative that costs a user nothing."""

NOBODY = "none"

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


def rival(call: Call, against: str, names: Sequence[str]) -> str:
    """Whom the backends are compared with on this case; empty for nobody.

    Args:
        call: The case; what the user's code calls today is the rival unless another one is named.
        against: What the user named: a backend, `none`, or nothing.
        names: The backends that are timed.
    """
    if against == NOBODY:
        return ""
    wanted = against or call.backend or RIVAL
    return wanted if wanted in names else ""


def timings(
    calls: Iterable[Call], names: Sequence[str], how: Sampling, against: str = ""
) -> list[Trial]:
    """Every case timed with every backend, its rival first: what comes later is compared with it."""
    found = []
    for call in calls:
        first = rival(call, against, names)
        ordered = sorted(names, key=lambda name: name != first)  # noqa: B023 - used at once
        found += [Trial(call.case, name, "time", how) for name in ordered]
    return found


class Further:
    """The question that a timing raises: without backward, its memory, against its rival.

    Whom to compare with is known by case; whether that one was right, from its own record, which comes
    first.

    Args:
        calls: The cases.
        names: The backends that are timed.
        against: As for `rival`.
    """

    def __init__(self, calls: Iterable[Call], names: Sequence[str], against: str = "") -> None:
        self._rivals = {
            call.case.edit(passes="fwd+bwd"): rival(call, against, names) for call in calls
        }
        self._right: set[Trial] = set()

    def __call__(self, record: Record) -> Trial | None:
        """The next question; None when there is none."""
        trial = record.trial
        match trial.question:
            case "time" if not _timed(record):
                return plan.forward_alone(record)
            case "time" if trial.case.device == "cpu":
                self._right.add(trial)
                return Trial(trial.case, trial.backend, "fits")
            case "time":
                self._right.add(trial)
                return self._compare(trial)
            case "fits":
                return self._compare(trial)
            case _:
                return None

    def _compare(self, trial: Trial) -> Trial | None:
        ...


def _timed(record: Record) -> bool:
    outcome = record.outcome
    return (
        isinstance(outcome, Measured)
        and outcome.timing is not None
        and outcome.parity is not None
        and outcome.parity.verdict != "fail"
    )
