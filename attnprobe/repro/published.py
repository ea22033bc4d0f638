"""What a trial of a published bug shows beyond right and wrong numbers."""

from __future__ import annotations

from attnprobe import known_bugs
from attnprobe.core.outcome import Measured
from attnprobe.core.parity import Parity
from attnprobe.core.trial import Record


def bug(record: Record) -> known_bugs.KnownBug | None:
    """The bug that the trial is about; None where it is about none, or one that is not known here."""
    name = record.trial.case.name
    if record.trial.question != known_bugs.QUESTION or name not in known_bugs.names():
        return None
    return known_bugs.load(name)


def shows(record: Record) -> bool:
    """Whether the outcome is read as the bug: NaN where others give 0, an answer to a bad call."""
    found = bug(record)
    return found is not None and found.reading(record.outcome).affected == "yes"


def must_be_refused(record: Record) -> bool:
    """Whether any answer to the call, a right one too, is the bug."""
    found = bug(record)
    answered = Measured("", Parity("pass", ""))
    return found is not None and found.reading(answered).affected == "yes"


def said(record: Record) -> str:
    """Where the bug was published, as a sentence; empty where there is none."""
    found = bug(record)
    if found is None:
        return ""
    reported = f"; reported for {found.range}" if found.range else ""
    return f"Published as {', '.join(found.sources)}: {found.title}{reported}."
