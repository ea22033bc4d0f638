"""Why results are wrong: hypotheses with the errors before and after, and where the rest sits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from attnprobe.core import units
from attnprobe.core.case import Case
from attnprobe.core.parity import QUANTITIES, Failure
from attnprobe.core.trial import Record
from attnprobe.report.compose import reading
from attnprobe.report.document import Inline, Span, line

_NAMED = 4  # cases per hypothesis that are written out


@dataclass(frozen=True)
class _Told:
    """A failure for which an explanation was looked for, with what its case is called."""

    case: str
    dtype: str
    failure: Failure


def explained(
    judged: Iterable[tuple[Record, tuple[Failure, ...]]], name: Callable[[Case], str]
) -> tuple[Inline, ...]:
    """One line per hypothesis that fits, the one that explains most first; then what none explains.

    Args:
        judged: Records with their failures.
        name: What a case is called.
    """
    told = [
        _Told(name(r.trial.case), reading.dtype(r.trial.case), failure)
        for r, failures in judged
        for failure in failures
        if failure.of and failure.hypothesis
    ]
    fits = reading.grouped((t for t in told if t.failure.is_explained), _hypothesis)
    rest = reading.grouped((t for t in told if not t.failure.is_explained), _place)
    by_size = sorted(fits.items(), key=lambda item: -len(item[1]))
    return (
        *(_fit(says, found) for says, found in by_size),
        *(_unexplained(found) for found in rest.values()),
    )


def _hypothesis(told: _Told) -> str:
    return told.failure.hypothesis


def _place(told: _Told) -> tuple[str, str]:
    """What cannot be explained goes together where it sits in the same place."""
    where = "" if told.failure.where.startswith("everywhere") else told.failure.where
    return (_without_count(told), where)


def _without_count(told: _Told) -> str:
    return told.failure.hypothesis.partition(" (")[0]


def _fit(says: str, found: list[_Told]) -> Inline:
    sizes = [t.failure.error_before for t in found if t.failure.error_before is not None]
    after = max(t.failure.error_after or 0.0 for t in found)
    numbers = (
        f"; error / bound {units.factor(max(sizes))}, then {units.factor(after)}" if sizes else ""
    )
    return line(
        "explained by: ",
        Span(says, "strong"),
        f" ({_quantities(found)} in {_cases(found)}{numbers}{_where(found)})",
    )


def _unexplained(found: list[_Told]) -> Inline:
    return line(
        f"{_without_count(found[0])}: {_quantities(found)} in {_cases(found)}{_where(found)}"
    )


def _quantities(found: list[_Told]) -> str:
    names = {t.failure.of for t in found}
    return ", ".join(sorted(names, key=QUANTITIES.index))


def _cases(found: list[_Told]) -> str:
    dtypes = reading.grouped(found, lambda t: t.case)
    cases = [
        f"{case} ({', '.join(dict.fromkeys(t.dtype for t in own))})" for case, own in dtypes.items()
    ]
    more = f" and {len(cases) - _NAMED} more cases" if len(cases) > _NAMED else ""
    return ", ".join(cases[:_NAMED]) + more


def _where(found: list[_Told]) -> str:
    """Where the first quantity sits, when that is one place in all cases and not everywhere."""
    first = found[0].failure
    places = {t.failure.where for t in found if t.failure.of == first.of}
    if len(places) > 1 or not first.where or first.where.startswith("everywhere"):
        return ""
    return f"; {first.of} is wrong in {first.where}"
