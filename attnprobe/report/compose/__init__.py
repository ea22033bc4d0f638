"""Report -> Document: what each command says, in the order in which a maintainer reads a ticket."""

from __future__ import annotations

from attnprobe.core.report import Report
from attnprobe.diagnosis import apart
from attnprobe.report.compose.advice import advice
from attnprobe.report.compose.backends import backends
from attnprobe.report.compose.broken import broken, rerouted
from attnprobe.report.compose.conditions import conditions, reproduce
from attnprobe.report.compose.costs import costs
from attnprobe.report.compose.environment import environment
from attnprobe.report.compose.figures import figures, pictures
from attnprobe.report.compose.findings import findings
from attnprobe.report.compose.how_timed import how_timed
from attnprobe.report.compose.known_bugs import bugs
from attnprobe.report.compose.parity import parity
from attnprobe.report.compose.profile import profile
from attnprobe.report.compose.questions import questions
from attnprobe.report.compose.refusals import refusals
from attnprobe.report.compose.reported import reported
from attnprobe.report.compose.summary import summary
from attnprobe.report.compose.timing import timing
from attnprobe.report.compose.training import trainings
from attnprobe.report.document import Document, Heading, Note, line

__all__ = ["check", "diagnose", "figures", "full", "info", "opening", "profile"]


def info(report: Report) -> Document:
    """The machine, and every backend: claim beside fact."""
    return Document(
        (
            Heading("attnprobe info", 1),
            *summary(report),
            *environment(report.environment),
            *backends(report),
        )
    )


def check(report: Report) -> Document:
    """Whether every backend is right: the matrix, and each failure with its numbers."""
    return Document(
        (
            Heading("attnprobe check", 1),
            *summary(report),
            *parity(report),
            *questions(report),
            *trainings(report),
            *bugs(report),
            *broken(report.records),
            *rerouted(report.records),
            *refusals(report.records),
        )
    )


def opening(report: Report) -> Document:
    """What a terminal shows of a report: the verdict, the findings and the advice."""
    return Document((*summary(apart(report)), *findings(report), *advice(report)))


def diagnose(report: Report) -> Document:
    """Every pitfall: confirmed, refuted, undecided."""
    return Document(
        (
            Heading("attnprobe diagnose", 1),
            *(Note("warning", line(note)) for note in report.notes),
            *findings(report),
            *advice(report),
            *(conditions(report) if report.records else ()),
        )
    )


def full(report: Report) -> Document:
    """Everything, the summary first; what only `diagnose` asked is told as its findings alone."""
    rest = apart(report)
    return Document(
        (
            Heading("attnprobe report", 1),
            *summary(rest),
            *findings(report),
            *advice(report),
            *environment(report.environment),
            *backends(rest),
            *parity(rest),
            *questions(rest),
            *trainings(rest),
            *bugs(rest),
            *broken(rest.records),
            *rerouted(rest.records),
            *refusals(rest.records),
            *pictures(rest),
            *timing(costs(rest)),
            *reported(rest),
            *how_timed(rest, costs(rest)),
            *conditions(report),
            *reproduce(rest),
        )
    )
