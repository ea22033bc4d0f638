"""`attnprobe repro`: one trial of a session as a standalone script."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attnprobe import minimise
from attnprobe import repro as scripts
from attnprobe import session as sessions
from attnprobe.cli import options
from attnprobe.cli.output import emit, next_step, save, say
from attnprobe.cli.progress import Progress
from attnprobe.core.outcome import TimedOut
from attnprobe.core.report import Report
from attnprobe.core.trial import ONE_CALL, Record, Trial
from attnprobe.errors import UnusableHost, UsageError
from attnprobe.redact import Identity, redact
from attnprobe.repro import experiments
from attnprobe.worker.host import Worker

DEADLINE_S = 60.0
HANG_S = 15.0
"""How long a case that hangs may hang while it is made smaller, in a child that has only just begun."""


def repro(
    session: Annotated[str, typer.Argument(metavar="SESSION", help="A session.jsonl.")],
    trial: Annotated[str, typer.Argument(metavar="TRIAL", help="A trial's id, or its beginning.")],
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE", help="Write the script to this file.")
    ] = "",
    no_shrink: Annotated[
        bool, typer.Option("--no-shrink", help="Keep the case as it is, however large.")
    ] = False,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Write a script for a trial that passed, too.")
    ] = False,
    budget: Annotated[
        float,
        typer.Option("--budget", min=1, metavar="SECONDS", help="Time to spend on shrinking."),
    ] = minimise.SECONDS,
    python: options.Python = "",
) -> None:
    """One trial as a standalone script: torch and the library under test, nothing of attnprobe.

    The script exits 1 while the trial's outcome is there and 0 once it is gone. Where this machine
    shows that outcome too, the case is first made as small as it can be.
    """
    report = redact(sessions.load(session), Identity.of_this_host())
    record = scripts.find(report, trial)
    if not scripts.wrong(record) and not anyway:
        raise UsageError(
            f"trial {record.trial.id} passed: there is nothing to reproduce",
            why=f"{record.trial.backend} is right in {record.trial.case.label}",
            fix="--anyway writes the script nevertheless",
        )
    shrunk = "The case is as it was measured."
    whole = record.trial.question == "training" or record.trial.case.module
    if not no_shrink and scripts.wrong(record) and not whole:
        record, shrunk = _smaller(record, python or None, budget)
        say(shrunk)
    text = scripts.write(record, report, shrunk)
    if output:
        save({Path(output): text})
        next_step(f"python {output}")
    else:
        emit(text)


def _plainly(record: Record, worker: Worker) -> Record:
    """The plain comparison in place of an experiment that met nothing else, where it fails here too."""
    if experiments.met(record) is None or record.trial.question in ONE_CALL:
        return record
    plain = worker.trial(Trial(record.trial.case, record.trial.backend), DEADLINE_S)
    return plain if minimise.symptom(plain) == minimise.symptom(record) else record


def _smaller(record: Record, python: str | None, budget: float) -> tuple[Record, str]:
    """The smallest record like it that this machine shows, and how it was come by."""
    outcome = record.outcome
    whole = outcome.limit_s if isinstance(outcome, TimedOut) else DEADLINE_S
    deadline = min(HANG_S, whole) if isinstance(outcome, TimedOut) else DEADLINE_S
    try:
        with Worker(python) as worker, Progress("shrinking") as progress:
            worker.require_torch()
            found = minimise.minimise(
                _plainly(record, worker),
                lambda trial: worker.trial(trial, deadline),
                progress,
                lambda trial: worker.trial(trial, whole),
                seconds=budget,
            )
    except (UnusableHost, UsageError) as error:
        found = error.what
    if isinstance(found, str):
        return record, f"The case was not made smaller: {found}."
    clean = redact(Report(records=(found.record,)), Identity.of_this_host()).records[0]
    ended = f"; the search ended early: {found.unfinished}" if found.unfinished else ""
    before = record.trial.case.label
    if clean.trial.case == record.trial.case:
        return clean, f"No smaller case shows it; {found.tried} were tried{ended}."
    return clean, f"Made smaller in {found.tried} trials{ended}. It was found in: {before}."
