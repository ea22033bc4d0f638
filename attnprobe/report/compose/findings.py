"""What is wrong with a workload, how that is known, what the fix is, and what it is worth."""

from __future__ import annotations

from attnprobe import diagnosis
from attnprobe.core.report import Report
from attnprobe.report.document import Block, Column, Heading, Table, code, line


def findings(report: Report) -> tuple[Block, ...]:
    """All findings in one table."""
    found = diagnosis.findings(report)
    rows = tuple(
        (
            line(code(f.suspicion.code), f" {f.suspicion.name}"),
            line(f.verdict),
            line(f.suspicion.subject.where),
            line(f.reason),
        )
        for f in found
    )
    return (
        Heading("Findings", 2),
        Table(tuple(map(Column, ("pitfall", "verdict", "where", "seen"))), rows),
    )
