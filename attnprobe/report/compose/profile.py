"""What `attnprobe profile` says: the verdict, the fastest, every cost, and how it was measured."""

from __future__ import annotations

from attnprobe.core.report import Report
from attnprobe.report.compose import reading, sweeps
from attnprobe.report.compose.broken import broken, rerouted
from attnprobe.report.compose.costs import costs
from attnprobe.report.compose.fastest import fastest
from attnprobe.report.compose.figures import pictures
from attnprobe.report.compose.how_timed import how_timed
from attnprobe.report.compose.max_length import max_length
from attnprobe.report.compose.refusals import refusals
from attnprobe.report.compose.reported import reported
from attnprobe.report.compose.summary import findings
from attnprobe.report.compose.timing import timing
from attnprobe.report.document import Document, Heading


def profile(report: Report) -> Document:
    """The whole view; cases of a sweep have their row in its tables, and none among the fastest."""
    by_case = costs(report)
    swept, alone = sweeps.find(by_case)
    told = sweeps.told_apart(report, swept)
    judged = reading.judged(told)
    unswept = {case: by_case[case] for case in alone}
    return Document(
        (
            Heading("attnprobe profile", 1),
            *findings(judged),
            *fastest(unswept, reading.wrong_somewhere(report)),
            *pictures(report),
            *timing(by_case),
            *max_length(report),
            *reported(report),
            *rerouted(judged.records),
            *broken(judged.records),
            *refusals(judged.records),
            *how_timed(told, by_case),
        )
    )
