"""What is to be run, cases x backends -> trials, and what its records amount to."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured
from attnprobe.core.report import Report
from attnprobe.core.trial import Question, Trial
from attnprobe.errors import UsageError
from attnprobe.workload import Workload


def trials(cases: Iterable[Case], backends: Iterable[str], question: Question) -> list[Trial]:
    """Every case with every backend, case by case: the child computes a case's reference once."""
    names = tuple(backends)
    return [Trial(case, backend, question) for case in cases for backend in names]


def choose(workload: Workload, wanted_masks: Iterable[str], dtypes: Iterable[str]) -> list[Case]:
    """The cases of a workload that the user asked for.

    Args:
        workload: Already on a device.
        wanted_masks: Names of cases or of mask families; none is all.
        dtypes: Element types; none is all.

    Raises:
        UsageError: A name that no case answers to, or nothing is left.
    """
    wanted_masks, dtypes = tuple(wanted_masks), tuple(dtypes)
    answers = {case: _names(case) for case in workload.cases}
    _known("mask", wanted_masks, {name for names in answers.values() for name in names})
    _known("dtype", dtypes, {case.dtype for case in answers})
    chosen = [
        case
        for case, names in answers.items()
        if (not wanted_masks or names & set(wanted_masks)) and (not dtypes or case.dtype in dtypes)
    ]
    if not chosen:
        raise UsageError(
            f"no case of {workload.name} is left",
            why="no case has both a mask and a dtype of those asked for",
            fix="ask for fewer things at once, or leave out --mask or --dtype",
        )
    return chosen


def verdict(report: Report) -> int:
    """The exit code of a run that ended: 1 when a backend gave a wrong result, else 0."""
    outcomes = (record.outcome for record in report.records)
    parities = (outcome.parity for outcome in outcomes if isinstance(outcome, Measured))
    return int(any(parity is not None and parity.verdict == "fail" for parity in parities))


def _names(case: Case) -> set[str]:
    """What a case answers to: its own name and its mask's families."""
    families = {term.partition("(")[0].strip() for term in case.mask.text.split("&")}
    return {case.name, case.mask.text, *families} - {""}


def _known(what: str, asked: tuple[str, ...], known: set[str]) -> None:
    for name in asked:
        if name not in known:
            near = get_close_matches(name, known, n=3) or sorted(known)
            raise UsageError(
                f"no case has the {what} {name[:60]!r}", fix=f"did you mean {', '.join(near)}?"
            )
