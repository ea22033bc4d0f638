"""What each case costs: sweeps as tables over their values, all other cases one by one."""

from __future__ import annotations

from collections import Counter

from attnprobe.report.compose import sweeps
from attnprobe.report.compose.cost_table import one_case
from attnprobe.report.compose.costs import ByCase
from attnprobe.report.compose.sweep_table import one_sweep
from attnprobe.report.compose.sweeps import Sweep
from attnprobe.report.document import Block, Folded, Heading, Note, Paragraph, line

MOST_SWEEPS = 6
MOST = 12
"""Cases that are shown one by one; of more, the table of the fastest tells enough."""
MOST_OF_ALL = 100
"""Cases that a page can still hold one by one, folded."""


def timing(by_case: ByCase) -> tuple[Block, ...]:
    """Every number with the parity verdict of the very case that was timed."""
    if not by_case:
        return (Heading("What it costs"), Note("note", line("nothing was timed")))
    swept, alone = sweeps.find(by_case)
    titles = Counter(sweep.title for sweep in swept)
    tables = [one_sweep(sweep, by_case, titles[sweep.title] > 1) for sweep in swept]
    shown = [block for each in tables[:MOST_SWEEPS] for block in each]
    if rest := tuple(block for each in tables[MOST_SWEEPS:] for block in each):
        shown.append(Folded(f"{len(tables) - MOST_SWEEPS} further sweeps", rest, long=True))
    if len(by_case) <= MOST_OF_ALL:
        shown += [_points(sweep, by_case) for sweep in swept]
        single = tuple(block for case in alone for block in one_case(by_case[case]))
        if len(alone) > MOST:
            single = (Folded(f"{len(alone)} cases one by one", single, long=True),)
    else:
        said = f"{len(by_case)} cases are too many to be shown one by one; the JSON has them"
        single = (Note("note", line(said)),)
    return (
        Heading("What it costs"),
        Paragraph(
            line(
                "Medians in milliseconds; ± is half of the 95% interval; bwd is measured alone; "
                "peak is memory over the inputs, beside it as a multiple of the least that any "
                "implementation needs. The verdict is of the very case that was timed; a wrong "
                "backend is never ranked."
            )
        ),
        *shown,
        *single,
    )


def _points(sweep: Sweep, by_case: ByCase) -> Folded:
    single = (block for case in sweep.points.values() for block in one_case(by_case[case]))
    return Folded(f"{sweep.title}: its points one by one", tuple(single), long=True)
