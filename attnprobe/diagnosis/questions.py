"""What is asked of the arms of an experiment, and in which order experiments are made."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from attnprobe.core.case import Case
from attnprobe.core.diagnosis import SEVERITIES, Arm, Experiment, Suspicion
from attnprobe.core.sampling import Sampling
from attnprobe.core.trial import Record, Trial
from attnprobe.diagnosis.judge import TIMES, judge
from attnprobe.profiling import duration

DEMONSTRATE = "demonstrate"

SAMPLING = Sampling(target_ci=0.05, budget_s=0.15)
"""Effects that are worth a finding are larger than the 5% that this resolves."""


def sampling(case: Case) -> Sampling:
    """How time is taken for a case: large ones get more of it."""
    return duration.roomy(SAMPLING, case)


def timing(arm: Arm) -> Trial:
    """The question of time and memory, parity included."""
    return Trial(arm.case, arm.backend, "time", sampling(arm.case))


def trials(suspicion: Suspicion) -> tuple[Trial, ...]:
    """All questions of an experiment: the control first, so that what is right is known early."""
    experiment, prediction = suspicion.experiment, suspicion.prediction
    if experiment is None or prediction is None:
        return ()
    arms = _arms(experiment)
    match prediction.quantity:
        case "value":
            return tuple(Trial(arm.case, arm.backend, DEMONSTRATE) for arm in arms)
        case "wrong":  # only what is expected to be wrong is worth an explanation
            asks = {experiment.treatment: "check"}
            return tuple(Trial(a.case, a.backend, asks.get(a, "verdict")) for a in arms)
        case "refused":
            return tuple(Trial(arm.case, arm.backend, "verdict") for arm in arms)
        case "memory" if arms[0].case.device == "cpu":
            # the peak resident set of a fresh child is a question of its own
            return tuple(t for a in arms for t in (timing(a), Trial(a.case, a.backend, "fits")))
        case _:
            return tuple(map(timing, arms))


def paired(found: Iterable[Suspicion], records: Mapping[str, Record]) -> list[Trial]:
    """The comparisons in the same rounds that are still needed.

    Two medians taken one after the other decide most experiments. Where they do not, and both arms
    have one case, they are timed in turns.

    Args:
        found: Suspicions whose trials were run.
        records: By trial id.
    """
    wanted = []
    for suspicion in found:
        both = suspicion.experiment
        if both is None or judge(suspicion, records).verdict != "inconclusive":
            continue
        trial = versus(both)
        timed = all(timing(arm).id in records for arm in (both.treatment, both.control))
        if trial is not None and timed and suspicion.prediction is not None:
            wanted += [trial] if suspicion.prediction.quantity == "time" else []
    return wanted


def versus(experiment: Experiment) -> Trial | None:
    """Treatment over control in the same rounds; None where they differ in more than who calls."""
    treatment, control = experiment.treatment, experiment.control
    if treatment.case != control.case:
        return None
    case = treatment.case
    return Trial(case, treatment.backend, "compare", sampling(case), control.backend)


def by_value(found: Iterable[Suspicion]) -> list[Suspicion]:
    """The most valuable answers for their time first.

    The worth of an answer is its severity times the logarithm of the effect that is expected; a wrong
    result counts as a factor of a hundred.
    """
    return sorted(found, key=_worth_per_second, reverse=True)


def _worth_per_second(suspicion: Suspicion) -> float:
    prediction = suspicion.prediction
    if suspicion.experiment is None or prediction is None:
        return 0.0
    weight = 2.0 ** (len(SEVERITIES) - SEVERITIES.index(suspicion.severity))
    effect = 100.0
    if prediction.quantity in (*TIMES, "memory", "first-call"):
        effect = math.sqrt(max(prediction.low, 1.05) * max(prediction.high, 1.05))
    seconds = duration.expected_s(trials(suspicion))
    return weight * math.log(effect) / max(seconds, 0.1)


def _arms(experiment: Experiment) -> Sequence[Arm]:
    arms = (experiment.control, experiment.treatment, experiment.fix)
    return tuple(dict.fromkeys(arms))
