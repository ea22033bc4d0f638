"""A workload spread out over the values of one or more fields."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from attnprobe.core.case import Case
from attnprobe.errors import UsageError
from attnprobe.profiling import fields, values
from attnprobe.workload import Call, Workload

MOST = 10_000
"""Cases that a sweep may have, whatever the user agrees to: as many sessions can be read comfortably."""


@dataclass(frozen=True)
class Axis:
    """One `--sweep FIELD=VALUES`.

    Args:
        field: One of `fields.FIELDS`.
        values: Every value as text.
    """

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Spread:
    """A workload after its sweeps.

    Args:
        workload: The cases.
        left_out: Points that describe no attention call, and why: `Hkv=3: Hkv=3 does not divide Hq=8`.
    """

    workload: Workload
    left_out: tuple[str, ...] = ()


def axes(given: Sequence[str]) -> tuple[Axis, ...]:
    """Reads what was given with `--sweep`, in the order of `fields.FIELDS`: lengths depend on B and M.

    Raises:
        UsageError: Not FIELD=VALUES, an unknown field, values that cannot be read, a field twice,
            two fields that are masks.
    """
    found: dict[str, Axis] = {}
    for text in given:
        field, equals, said = text.partition("=")
        if not equals:
            raise UsageError(f"--sweep {text[:60]!r} is not FIELD=VALUES", fix=values.FORMS)
        if field not in fields.FIELDS:
            raise UsageError(
                f"--sweep knows no field {field[:40]!r}",
                fix=f"fields: {', '.join(fields.FIELDS)}; backends are chosen with --backend",
            )
        if field in found:
            raise UsageError(f"--sweep {field} is given twice", fix=f"--sweep {field}=1,2,3")
        found[field] = Axis(field, values.expand(said))
    if len(masks := [field for field in found if field in fields.MASKS]) > 1:
        raise UsageError(
            f"--sweep {' and --sweep '.join(masks)}: each of them is the whole mask",
            fix="one after the other, or --sweep mask='sliding-window(...) & ...'",
        )
    return tuple(found[field] for field in fields.FIELDS if field in found)


def spread(workload: Workload, swept: Sequence[Axis]) -> Spread:
    """Every case at every combination of values; equal cases once.

    Args:
        workload: The cases to start from.
        swept: The fields and their values.

    Raises:
        UsageError: A value that its field cannot have, no point that is an attention call, or more
            points than `MOST`.
    """
    if not swept:
        return Spread(workload)
    points = math.prod(len(axis.values) for axis in swept)
    if points * len(workload.calls) > MOST:
        raise UsageError(
            f"the sweep has {points * len(workload.calls):,} cases; the limit is {MOST:,}",
            why=f"{len(workload.calls)} cases of {workload.name} at {points:,} points each",
            fix="fewer values, or one case: --mask NAME",
        )
    left_out, found = dict[str, None](), dict[Case, Call]()
    for call in workload.calls:
        for point in itertools.product(*(axis.values for axis in swept)):
            case = call.case
            for axis, value in zip(swept, point, strict=True):
                case = fields.edit(case, axis.field, value)
            if case.problems:
                where = ", ".join(f"{a.field}={v}" for a, v in zip(swept, point, strict=True))
                left_out[f"{where}: {'; '.join(case.problems)}"] = None
            else:
                found.setdefault(case, replace(call, case=case))
    if not found:
        raise UsageError("no point of the sweep is an attention call", why="\n     ".join(left_out))
    return Spread(replace(workload, calls=tuple(found.values())), tuple(left_out))
