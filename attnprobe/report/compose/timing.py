"""What each case costs: sweeps as tables over their values, all other cases one by one."""

from __future__ import annotations

from attnprobe.core.report import Report
from attnprobe.report import sweeps
from attnprobe.report.compose.cost_table import one_case
from attnprobe.report.compose.sweep_table import one_sweep
from attnprobe.report.costs import costs
from attnprobe.report.document import Block, Folded, Heading, Note, Paragraph, line

MOST = 12
"""Cases that are shown one by one; of more, the table of the fastest tells enough."""


def timing(report: Report) -> tuple[Block, ...]:
    """Every number with the parity verdict of the very case that was timed."""
    by_case = costs(report)
    if not by_case:
        return (Heading("What it costs"), Note("note", line("nothing was timed")))
    swept, alone = sweeps.find(by_case)
    shown = [block for sweep in swept for block in one_sweep(sweep, by_case)]
    single = tuple(block for case in alone for block in one_case(by_case[case]))
    if len(alone) > MOST:
        single = (Folded(f"{len(alone)} cases one by one", single, long=True),)
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
