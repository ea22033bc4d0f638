"""The record that a user means by the beginning of a trial's id."""

from __future__ import annotations

from difflib import get_close_matches

from attnprobe.core.report import Report
from attnprobe.core.trial import Record
from attnprobe.errors import UsageError

_SHOWN = 5


def find(report: Report, trial: str) -> Record:
    """The only trial whose id begins with `trial`.

    Raises:
        UsageError: None does, or several do; names those that are near.
    """
    records = {record.trial.id: record for record in report.records}
    if not records:
        raise UsageError("this session holds no trials", fix="run `attnprobe check --session FILE`")
    prefix = trial.strip().lower()
    matching = [key for key in records if prefix and key.startswith(prefix)]
    if len(matching) == 1:
        return records[matching[0]]
    if matching:
        raise UsageError(
            f"{len(matching)} trials begin with {prefix[:40]!r}",
            why=_lines(matching, records),
            fix="give more digits of the id",
        )
    near = get_close_matches(prefix, records, n=_SHOWN, cutoff=0.4)
    raise UsageError(
        f"no trial of this session has the id {prefix[:40]!r}",
        why=f"the nearest are\n{_lines(near, records)}" if near else "",
        fix="ids stand in the tables of `attnprobe render SESSION`, one for each thing that is wrong",
    )


def _lines(keys: list[str], records: dict[str, Record]) -> str:
    shown = [
        f"{key}  {records[key].trial.backend}  {records[key].trial.case.label}"
        for key in keys[:_SHOWN]
    ]
    more = len(keys) - len(shown)
    return "\n".join([*shown, *([f"and {more} more"] if more > 0 else [])])
