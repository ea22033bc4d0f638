"""Published bugs: which are here, which are not, and which could not be looked for."""

from __future__ import annotations

from attnprobe import known_bugs
from attnprobe.core.report import Report
from attnprobe.known_bugs import Finding
from attnprobe.report.document import (
    Block,
    Bullets,
    Column,
    Folded,
    Heading,
    Inline,
    Note,
    Paragraph,
    Span,
    Table,
    Tone,
    code,
    line,
)

_TONES: dict[str, Tone] = {"yes": "bad", "no": "good", "cannot tell": "weak"}
_IN_RANGE = {True: "this machine is one", False: "this machine is none", None: "unknown here"}


def bugs(report: Report) -> tuple[Block, ...]:
    """The affected and the undecided as a table, the others folded; nothing when none was asked."""
    found = known_bugs.findings(report)
    if not found:
        return ()
    affected = [f for f in found if f.answer.affected == "yes"]
    undecided = [f for f in found if f.answer.affected == "cannot tell"]
    absent = [f for f in found if f.answer.affected == "no"]
    said = (
        f"{len(affected)} of {len(found)} published bugs are here, {len(absent)} are not, "
        f"{len(undecided)} could not be decided."
    )
    ways_out = tuple(line(code(f.name), f": {f.bug.way_out}") for f in affected if f.bug.way_out)
    shown = (_table(affected), Paragraph(line("Ways out:")), Bullets(ways_out)) if affected else ()
    folded = tuple(
        Folded(f"{title}: {len(some)}", (_table(some),))
        for title, some in (("Could not be decided", undecided), ("Not here", absent))
        if some
    )
    note = Note("wrong" if affected else "good", line(said))
    return (Heading("Known bugs", 2), note, *shown, *folded)


def _table(found: list[Finding]) -> Table:
    names = ("bug", "affected here", "reported for", "source")
    return Table(tuple(Column(name) for name in names), tuple(_row(f) for f in found))


def _row(finding: Finding) -> tuple[Inline, ...]:
    bug, answer = finding.bug, finding.answer
    return (
        line(code(finding.name), f" ({bug.title})"),
        line(Span(answer.affected, _TONES[answer.affected]), f": {answer.reason}"),
        line(f"{bug.range} ({_IN_RANGE[finding.in_range]})"),
        line(", ".join(bug.sources)),
    )
