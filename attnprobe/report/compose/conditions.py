"""Under what conditions the numbers were taken, where the time went, and how to get them again."""

from __future__ import annotations

import shlex

from attnprobe.core import units
from attnprobe.core.report import Report
from attnprobe.core.trial import Record
from attnprobe.report.compose import reading
from attnprobe.report.compose.glyphs import BROKEN, WRONG
from attnprobe.report.document import (
    Block,
    Bullets,
    Code,
    Column,
    Folded,
    Heading,
    Paragraph,
    Table,
    line,
)


def conditions(report: Report) -> tuple[Block, ...]:
    """Seed, span, retries and the time per phase."""
    facts = [
        f"session started {report.started or 'at an unknown time'} and took "
        f"{units.seconds(report.seconds)} for {len(report.records)} trials; schema {report.schema}",
        f"workload {report.workload or '(built in)'}, seed {report.seed}",
    ]
    retried = [r for r in report.records if r.first_outcome is not None]
    if retried:
        facts.append(
            f"{len(retried)} trials were repeated in a fresh child after a crash in a used one"
        )
    blocks: list[Block] = [Heading("Conditions"), Bullets(tuple(line(fact) for fact in facts))]
    if phases := _phases(report.records):
        blocks.append(Folded("Where the time went", (phases,)))
    return tuple(blocks)


def _phases(records: tuple[Record, ...]) -> Table | None:
    totals: dict[str, float] = {}
    for record in records:
        for phase, seconds in record.phases.items():
            totals[phase] = totals.get(phase, 0.0) + seconds
    whole = sum(totals.values())
    if whole <= 0:
        return None
    columns = (Column("phase"), *(Column(n, "right") for n in ("total", "share", "per trial")))
    rows = tuple(
        (
            line(phase),
            line(units.seconds(total)),
            line(units.share(total / whole)),
            line(units.seconds(total / len(records))),
        )
        for phase, total in sorted(totals.items(), key=lambda item: -item[1])
    )
    return Table(columns, rows)


def reproduce(report: Report) -> tuple[Block, ...]:
    """Commands that measure this again: all of it, and the first trials that went wrong."""
    command = ["attnprobe", report.command or "report"]
    command += [report.workload] if report.workload else []
    lines = [shlex.join([*command, "--seed", str(report.seed)])]
    bad = reading.in_state(report.records, WRONG) + reading.in_state(report.records, BROKEN)
    firsts = [same[0] for same in reading.grouped(bad, lambda r: r.trial.backend).values()]
    lines += [_check(record, report) for record in firsts[:5]]
    return (
        Heading("How to reproduce"),
        Paragraph(line("The same inputs come from the same seed on any machine:")),
        Code("\n".join(lines), "sh"),
    )


def _check(record: Record, report: Report) -> str:
    """The check that runs this trial; a report's own checks come from check's default workload."""
    case = record.trial.case
    from_workload = report.command == "check" or record.trial.question == "time"
    options = {
        "--backend": record.trial.backend,
        "--mask": case.name or case.mask.text,
        "--dtype": case.dtype,
        "--seed": str(report.seed),
    }
    command = ["attnprobe", "check", *([report.workload] if from_workload else [])]
    return shlex.join([*command, *(part for pair in options.items() for part in pair)])
