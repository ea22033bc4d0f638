"""A finished (or interrupted) session as one record: what every view is made of."""

from __future__ import annotations

from dataclasses import dataclass

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.diagnosis import Subject, Suspicion
from attnprobe.core.environment import Environment
from attnprobe.core.reported import Reported
from attnprobe.core.trial import Record

SCHEMA = "attnprobe/1"


@dataclass(frozen=True)
class Report:
    """One session.

    Args:
        schema: Version of this form.
        command: The subcommand that made it (info, check, report).
        workload: Name of the workload.
        seed: Base seed.
        environment: The machine; None when it was not asked.
        backends: Claim beside fact, by backend.
        records: Every trial that finished.
        notes: What the reader must know: interruptions, dropped lines, time that ran out.
        complete: False when the session was interrupted or its end is missing.
        started: ISO 8601 time in UTC.
        seconds: Wall time of the session.
        reported: What the workload's sources measured of its cases.
        subjects: The user's calls that `diagnose` looks into.
        suspicions: What it suspects of them, each with its prediction, fixed before anything ran.
    """

    schema: str = SCHEMA
    command: str = ""
    workload: str = ""
    seed: int = 0
    environment: Environment | None = None
    backends: tuple[BackendFact, ...] = ()
    records: tuple[Record, ...] = ()
    notes: tuple[str, ...] = ()
    complete: bool = True
    started: str = ""
    seconds: float = 0.0
    reported: tuple[Reported, ...] = ()
    subjects: tuple[Subject, ...] = ()
    suspicions: tuple[Suspicion, ...] = ()
