"""How long trials are likely to take: said before they begin, and mended by what they then take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from attnprobe.core.case import Case
from attnprobe.core.sampling import Sampling
from attnprobe.core.trial import Trial

MANY_TRIALS = 200
MUCH_TIME_S = 600.0
"""A run of more trials or of more time than this is asked about first."""

_AROUND_S = {"cuda": 0.5, "cpu": 0.3}
"""Inputs, preparation, parity, kernel names and memory of a small case, by device."""
_EACH_CASE_S = {"cuda": 0.3, "cpu": 0.1}
"""The reference of a small case, computed once for all backends."""
_REFERENCE_FLOPS = {"cuda": 5e12, "cpu": 2e10}
"""Operations per second of the float64 reference, its error bounds included."""
_TIMED_FLOPS = {"cuda": 2e14, "cpu": 2e10}
"""Operations per second of a backend that is neither good nor bad, on an H200 and on one CPU core."""
_CALLS = 20
"""Times that the whole case runs, in passes and rounds, until there is an interval at all."""
_LONGEST_BUDGET_S = 10.0
"""Three of these and a reference stay within the deadline of a trial."""
_FRESH_CHILD_S = 0.5
_DEADLINE_S = 60.0
"""What takes longer is cut off (session/runner.py)."""


def expected_s(trials: Iterable[Trial]) -> float:
    """Seconds that these trials are likely to take on a machine of today, within a factor of three.

    Lengths count as if every pair attended: masks save time in some kernels only.
    """
    seconds, cases = 0.0, set[Case]()
    for trial in trials:
        case, kind = trial.case, trial.case.device.partition(":")[0]
        operations = _operations(case)
        if case not in cases:
            cases.add(case)
            seconds += _EACH_CASE_S[kind] + operations / _REFERENCE_FLOPS[kind]
        running = _CALLS * operations / _TIMED_FLOPS[kind]
        if trial.question == "fits":
            seconds += _FRESH_CHILD_S + running / _CALLS
        else:
            seconds += min(_DEADLINE_S, _AROUND_S[kind] + max(trial.sampling.budget_s, running))
    return seconds


def roomy(how: Sampling, case: Case) -> Sampling:
    """A budget in which an interval can be had: large cases take longer than the usual one.

    A third of the time for `_CALLS`, because sampling spends up to three budgets on a missing interval
    and half of one where the interval is narrow at once (device/measure/sampling.py).
    """
    needed = _CALLS * _operations(case) / _TIMED_FLOPS[case.device.partition(":")[0]] / 3
    budget = min(max(how.budget_s, needed), max(how.budget_s, _LONGEST_BUDGET_S))
    return how if budget == how.budget_s else replace(how, budget_s=round(budget, 2))


def _operations(case: Case) -> float:
    """Floating-point operations of the stored pairs, all passes: 4 MNK forward, 10 MNK backward."""
    per_pair = 4 if case.passes == "fwd" else 14
    return float(per_pair * case.B * case.Hq * case.Mq * case.Mkv * case.K)
