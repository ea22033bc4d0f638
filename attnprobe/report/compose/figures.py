"""The pictures of a session: growth over sweeps, speed against a rival, and the roofline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attnprobe.core import units
from attnprobe.core.report import Report
from attnprobe.report.compose import reading, sweeps
from attnprobe.report.compose.charts import Slots, charts, look
from attnprobe.report.compose.cost_table import ratio
from attnprobe.report.compose.costs import Cost, costs
from attnprobe.report.compose.roofline import rooflines
from attnprobe.report.document import Block, Folded, Heading
from attnprobe.report.figure import Bar, Bars, Chart, Figure

MOST = 4
"""Pictures of each sort that are shown at once; further ones are folded."""


def figures(report: Report) -> list[Figure]:
    """Every picture; none where nothing was timed.

    Charts of each sweep that has an order, a roofline per device and element type, and bars of each
    case that was compared with a rival (of a sweep: of its last point).
    """
    by_case = costs(report)
    names = {cost.backend for same in by_case.values() for cost in same}
    ordered = [name for name in reading.backend_names(report) if name in names]
    slots = {name: slot for slot, name in enumerate(ordered)}
    swept, alone = sweeps.find(by_case)
    cases = [*(list(sweep.points.values())[-1] for sweep in swept), *alone]
    return [
        *(chart for sweep in swept for chart in charts(sweep, by_case, slots)),
        *rooflines(by_case, slots),
        *(bars for case in cases for bars in speeds(by_case[case], slots)),
    ]


def speeds(same: Sequence[Cost], slots: Slots) -> Iterator[Bars]:
    """The backends of one case against each of its rivals."""
    compared = reading.grouped(
        [cost for cost in same if cost.versus], lambda cost: cost.versus and cost.versus.rival
    )
    for rival, against in compared.items():
        bars = [bar for cost in against if (bar := _bar(cost, slots))]
        if bars:
            case = same[0].case
            name = f"{case.name}: " if case.name else ""
            yield Bars(
                f"{name}speed of {case.passes} as a multiple of {rival}",
                f"{case.label}; {units.counted(len(bars), 'backend')}, in the same rounds as {rival}",
                tuple(sorted(bars, key=lambda bar: -bar.value)),
            )


def _bar(cost: Cost, slots: Slots) -> Bar | None:
    found = ratio(cost)
    if found is None:
        return None
    values = (1 / found.median, 1 / found.high, 1 / found.low)
    return Bar(cost.backend, slots[cost.backend], *values, look(cost.state))


def pictures(report: Report) -> tuple[Block, ...]:
    """The section; nothing where there is no picture."""
    found = figures(report)
    if not found:
        return ()
    growth = [each for each in found if isinstance(each, Chart) and each.joined]
    roofs = [each for each in found if isinstance(each, Chart) and not each.joined]
    bars = [each for each in found if isinstance(each, Bars)]
    return (
        Heading("Pictures"),
        *_first(growth, "sweeps"),
        *_first(roofs, "rooflines"),
        *_first(bars, "speeds"),
    )


def _first(found: Sequence[Figure], what: str) -> tuple[Block, ...]:
    if len(found) <= MOST:
        return tuple(found)
    rest = tuple(found[MOST:])
    return (*found[:MOST], Folded(f"{len(rest)} further pictures of {what}", rest, long=True))
