"""How long trials are likely to take: said before they begin, and mended by what they then take."""

from __future__ import annotations

from collections.abc import Iterable

from attnprobe.core.case import Case
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
_TIMED_FLOPS = {"cuda": 2e13, "cpu": 5e10}
"""Operations per second of a middling backend, which runs `_CALLS` times whatever the budget."""
_CALLS = 25
_FRESH_CHILD_S = 0.5


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
            seconds += _AROUND_S[kind] + max(trial.sampling.budget_s, running)
    return seconds


def _operations(case: Case) -> float:
    """Floating-point operations of the stored pairs, all passes: 4 MNK forward, 10 MNK backward."""
    per_pair = 4 if case.passes == "fwd" else 14
    return float(per_pair * case.B * case.Hq * case.Mq * case.Mkv * case.K)
