"""What a case is called in a report: its name, and its shape where two cases share a name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attnprobe.core.case import Case
from attnprobe.core.mask import NONE
from attnprobe.core.score import Score
from attnprobe.core.trial import Record
from attnprobe.report.compose import reading


def whatever_the_dtype(case: Case) -> Case:
    """The case as a key that its runs at several dtypes, with and without a backward, share."""
    return case.edit(dtype="", seed=0, passes="fwd+bwd")


def namer(records: Iterable[Record]) -> Callable[[Case], str]:
    """A function that names the cases of these records so that no two differ in dtype alone."""
    cases = dict.fromkeys(whatever_the_dtype(r.trial.case) for r in records)
    names: dict[Case, str] = {}
    for name, same in reading.grouped(cases, reading.case_name).items():
        for plain, alike in reading.grouped(same, _without_mask).items():
            for case in alike:
                shape = plain if len(alike) == 1 else reading.shape(case)
                names[case] = name if len(same) == 1 else f"{name} ({shape})"
    return lambda case: names[whatever_the_dtype(case)]


def _without_mask(case: Case) -> str:
    return reading.shape(case.edit(mask=NONE, score=Score()))
