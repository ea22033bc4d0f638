"""Sweeps among the timed cases: cases that differ in one field alone, found by looking at them.

Nothing in a session says what was swept: a grid in a workload is a sweep as good as `--sweep`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from attnprobe.core.case import Case, Lengths
from attnprobe.core.mask import NONE
from attnprobe.core.report import Report
from attnprobe.core.trial import Record
from attnprobe.report.compose import reading

Value = int | float | str

FEWEST = 3
"""Points that make a sweep; two cases are shown one by one."""


@dataclass(frozen=True)
class Field:
    """Something that may differ between cases.

    Args:
        name: As in `--sweep`.
        read: Its value; None when the case has none.
        blank: The case without it, the same for all cases that differ in it alone.
        length: Whether it is a length, over which time and memory grow.
    """

    name: str
    read: Callable[[Case], Value | None]
    blank: Callable[[Case], Case]
    length: bool = False


@dataclass(frozen=True)
class Sweep:
    """Cases that differ in one field.

    Args:
        field: The field.
        points: The cases by value, numbers in their order.
    """

    field: Field
    points: dict[Value, Case]

    @property
    def title(self) -> str:
        """What the cases share: their name, else their shape without the field."""
        first = next(iter(self.points.values()))
        return f"{first.name or reading.shape(first)} over {self.field.name}"

    @property
    def numbers(self) -> bool:
        """True when the values have an order and a distance."""
        return all(not isinstance(value, str) for value in self.points)


def find(cases: Iterable[Case]) -> tuple[list[Sweep], list[Case]]:
    """The sweeps, and the cases that belong to none; lengths are looked at first."""
    left = list(dict.fromkeys(cases))
    found: list[Sweep] = []
    for field in FIELDS:
        having = [case for case in left if field.read(case) is not None]
        alike = reading.grouped(having, lambda case: (case.name, field.blank(case)))  # noqa: B023 - used at once
        for same in alike.values():
            points = {value: case for case in same if (value := field.read(case)) is not None}
            if len(points) >= FEWEST:
                found.append(Sweep(field, _ordered(points)))
                taken = set(points.values())
                left = [case for case in left if case not in taken]
    return found, left


def told_apart(report: Report, swept: Iterable[Sweep]) -> Report:
    """The report with the value in the name of every point of a sweep: `self M=2048`."""
    values = {case: (s.field.name, value) for s in swept for value, case in s.points.items()}

    def named(record: Record) -> Record:
        case = record.trial.case
        whole = case if case in values else case.edit(passes="fwd+bwd")
        if whole not in values or not case.name:
            return record
        field, value = values[whole]
        renamed = case.edit(name=f"{case.name} {field}={value}")
        return replace(record, trial=replace(record.trial, case=renamed))

    return replace(report, records=tuple(map(named, report.records)))


def _ordered(points: dict[Value, Case]) -> dict[Value, Case]:
    if any(isinstance(value, str) for value in points):
        return points
    return dict(sorted(points.items(), key=lambda point: float(point[0])))


def _without_lengths(case: Case) -> Lengths | None:
    """Lengths in proportion to the longest: what a sweep over lengths keeps."""
    if case.lengths is None:
        return None
    q = tuple(round(1000 * n / max(1, case.Mq)) for n in case.lengths.q)
    kv = tuple(round(1000 * n / max(1, case.Mkv)) for n in case.lengths.kv)
    return replace(case.lengths, q=q, kv=kv)


def _without_batch(case: Case) -> Case:
    lengths = replace(case.lengths, q=(), kv=()) if case.lengths else None
    return case.edit(B=0, lengths=lengths)


def _without_heads(case: Case) -> Case:
    return case.edit(Hq=0, Hkv=0 if case.groups == 1 else case.Hkv)


def _window(case: Case) -> int | None:
    if case.mask.left is None or case.mask.predicates:
        return None
    return case.mask.left + 1 + (case.mask.right or 0)


def _density(case: Case) -> int | None:
    percents = [getattr(predicate, "percent", None) for predicate in case.mask.predicates]
    return percents[0] if len(percents) == 1 else None


FIELDS = (
    Field(
        "M",
        lambda case: case.Mq if case.Mq == case.Mkv else None,
        lambda case: case.edit(Mq=0, Mkv=0, lengths=_without_lengths(case)),
        length=True,
    ),
    Field(
        "Mkv",
        lambda case: case.Mkv,
        lambda case: case.edit(Mkv=0, lengths=_without_lengths(case)),
        length=True,
    ),
    Field(
        "Mq",
        lambda case: case.Mq,
        lambda case: case.edit(Mq=0, lengths=_without_lengths(case)),
        length=True,
    ),
    Field("B", lambda case: case.B, _without_batch),
    Field("Hq", lambda case: case.Hq, _without_heads),
    Field("Hkv", lambda case: case.Hkv, lambda case: case.edit(Hkv=0)),
    Field(
        "K",
        lambda case: case.K,
        lambda case: case.edit(K=0, Kv=0 if case.Kv == case.K else case.Kv),
    ),
    Field("window", _window, lambda case: case.edit(mask=NONE)),
    Field("density", _density, lambda case: case.edit(mask=NONE)),
    Field("dropout_p", lambda case: case.dropout_p, lambda case: case.edit(dropout_p=0.0)),
    Field("dtype", reading.dtype, lambda case: case.edit(dtype="")),
    Field("layout", lambda case: case.layout, lambda case: case.edit(layout="")),
    Field("mask_form", lambda case: case.mask_form, lambda case: case.edit(mask_form="")),
)
