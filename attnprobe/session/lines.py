"""What a session file may hold, line by line, and what the lines amount to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Literal

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.diagnosis import Subject, Suspicion
from attnprobe.core.environment import Environment
from attnprobe.core.report import SCHEMA, Report
from attnprobe.core.reported import Reported
from attnprobe.core.trial import Record


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Header:
    """The first line.

    Args:
        command: The subcommand that runs.
        workload: Name of the workload.
        seed: Base seed.
        started: ISO 8601 time in UTC.
        schema: Version of the form.
    """

    command: str = ""
    workload: str = ""
    seed: int = 0
    started: str = field(default_factory=_now)
    schema: str = SCHEMA
    type: Literal["header"] = "header"


@dataclass(frozen=True)
class EnvironmentLine:
    """The machine; the last one counts."""

    environment: Environment
    type: Literal["environment"] = "environment"


@dataclass(frozen=True)
class BackendLine:
    """Claim beside fact for one backend; the last one of a name counts."""

    backend: BackendFact
    type: Literal["backend"] = "backend"


@dataclass(frozen=True)
class RecordLine:
    """One finished trial; the last one of a trial counts."""

    record: Record
    type: Literal["record"] = "record"


@dataclass(frozen=True)
class ReportedLine:
    """A number that a source of the workload measured."""

    reported: Reported
    type: Literal["reported"] = "reported"


@dataclass(frozen=True)
class SubjectLine:
    """A call that is looked into."""

    subject: Subject
    type: Literal["subject"] = "subject"


@dataclass(frozen=True)
class SuspicionLine:
    """What is suspected and predicted of a call, before anything ran."""

    suspicion: Suspicion
    type: Literal["suspicion"] = "suspicion"


@dataclass(frozen=True)
class NoteLine:
    """Something that the reader must know."""

    note: str
    type: Literal["note"] = "note"


@dataclass(frozen=True)
class EndLine:
    """The run came to its end.

    Args:
        seconds: Wall time of this part of the session.
    """

    seconds: float
    type: Literal["end"] = "end"


Line = (
    EnvironmentLine
    | BackendLine
    | RecordLine
    | ReportedLine
    | SubjectLine
    | SuspicionLine
    | NoteLine
    | EndLine
)


def assemble(header: Header, lines: Iterable[Line]) -> Report:
    """The session that these lines tell of; complete when the last of them is an end."""
    environment: Environment | None = None
    backends: dict[str, BackendFact] = {}
    records: dict[str, Record] = {}
    reported: list[Reported] = []
    subjects: list[Subject] = []
    suspicions: list[Suspicion] = []
    notes: list[str] = []
    seconds, complete = 0.0, False
    for line in lines:
        complete = isinstance(line, EndLine)
        match line:
            case EnvironmentLine():
                environment = line.environment
            case BackendLine():
                backends[line.backend.name] = line.backend
            case RecordLine():
                records[line.record.trial.id] = line.record
            case ReportedLine():
                reported.append(line.reported)
            case SubjectLine():
                subjects.append(line.subject)
            case SuspicionLine():
                suspicions.append(line.suspicion)
            case NoteLine():
                notes.append(line.note)
            case EndLine():
                seconds += line.seconds
    return Report(
        schema=header.schema,
        command=header.command,
        workload=header.workload,
        seed=header.seed,
        environment=environment,
        backends=tuple(backends.values()),
        records=tuple(records.values()),
        notes=tuple(notes),
        complete=complete,
        started=header.started,
        seconds=seconds,
        reported=tuple(dict.fromkeys(reported)),
        subjects=tuple(dict.fromkeys(subjects)),
        suspicions=tuple(dict.fromkeys(suspicions)),
    )
