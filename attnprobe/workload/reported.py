"""What a workload's sources measured: every number is about exactly one of its cases."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from attnprobe.core.case import Case
from attnprobe.core.reported import Reported, recipe
from attnprobe.workload.spec import NumberSpec, ReportedSpec


def reported_of(source: ReportedSpec, number: NumberSpec, cases: Sequence[Case]) -> Reported | str:
    """One number with the case that it is about, or why it is about none of them."""
    found = {recipe(case) for case in cases if _fits(case, number)}
    if not found:
        names = list(dict.fromkeys(case.name for case in cases))
        near = get_close_matches(number.case, names, n=3) or names
        which = f"{number.case!r} with {number.where}" if number.where else repr(number.case)
        return f"no case is {which}; cases: {', '.join(near)}"
    if len(found) > 1:
        return f"{len(found)} cases are called {number.case!r}; say which: `where: {{Mq: ...}}`"
    return Reported(
        number.case,
        found.pop(),
        number.backend,
        number.quantity,
        number.value,
        source.machine,
        source.url,
        number.over or "",
        source.note,
        number.note,
    )


def _fits(case: Case, number: NumberSpec) -> bool:
    names = {"pass": "passes"}
    wanted = number.where.items()
    return case.name == number.case and all(
        getattr(case, names.get(field, field)) == value for field, value in wanted
    )
