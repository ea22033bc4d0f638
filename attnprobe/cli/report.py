"""`attnprobe report`: the main job, in four files that can be shared as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attnprobe import diagnosis, pitfalls, plan, profiles, survey
from attnprobe.cli import options, views
from attnprobe.cli.output import next_step, save, say
from attnprobe.cli.progress import Progress
from attnprobe.device import backends
from attnprobe.diagnosis import experiments
from attnprobe.diagnosis.subjects import subjects
from attnprobe.errors import UnusableHost
from attnprobe.report import compose
from attnprobe.session.journal import Mode
from attnprobe.session.lines import Header

CHECK_SHARE = 0.55
"""Of the time that is left after the launches."""

TIME_SHARE = 0.7
"""Of the time that checking leaves, for timing; experiments of pitfalls get the rest."""


def report(
    workload: options.Workload = "first-timing",
    folder: Annotated[
        str, typer.Option("-o", "--output", metavar="DIR", help="Where the four files go.")
    ] = "attnprobe-report",
    budget: Annotated[
        float, typer.Option("--budget", min=1.0, metavar="SECONDS", help="Stop measuring by then.")
    ] = 106.0,
    backend: options.Backends = [],  # noqa: B006 - typer reads the default, nothing changes it
    device: options.Device = "auto",
    seed: options.Seed = 0,
    resume: options.Resume = False,
    python: options.Python = "",
) -> None:
    """The main job: info, a quick check, timings and pitfalls of WORKLOAD, in one report to paste.

    Writes report.md, report.html, report.json and session.jsonl to DIR. Exits 1 when a backend gave
    a wrong result.
    """
    names = backends.match(backend) if backend else backends.names()
    timed, checked = profiles.load(workload), profiles.load("check-quick")
    place = Path(folder)
    problem = _make(place)
    path = None if problem else place / "session.jsonl"
    mode: Mode = "resume" if resume else "replace"
    header = Header("report", workload, seed)
    with survey.opened(header, path, mode, python or None, Progress) as survey_:
        environment = survey_.machine()
        for number in timed.reported:
            survey_.journal.reported(number)
        survey_.left_unsaid(timed)
        usable = environment.torch is not None
        here = survey.device(device, environment) if usable else "cpu"
        survey_.backends(names, here, launch=usable)
        if usable:
            checks = plan.trials(plan.plain(plan.place(checked, here, seed)), names, "check")
            times = plan.trials(plan.place(timed, here, seed), names, "time")
            plain, compiled = survey_.split(checks)
            survey_.check("checking", plain, CHECK_SHARE * (budget - survey_.seconds))
            left = TIME_SHARE * (budget - survey_.seconds)
            survey_.time("timing", survey_.importable(times), left)
            looked_into = subjects(timed, plan.place(timed, here, seed))
            found = diagnosis.suspicions(looked_into, here, environment, pitfalls.names())
            experiments.keep(survey_, looked_into, found)
            experiments.make(survey_, found, lambda: budget - survey_.seconds)
            survey_.check("checking what compiles", compiled, budget - survey_.seconds)
        whole = survey_.finish()
    views.show(compose.opening(whole))
    problem = problem or survey_.journal.problem
    forms = {"report.md": "md", "report.html": "html", "report.json": "json"}
    save({place / name: views.text(whole, form) for name, form in forms.items()})
    if problem:
        raise UnusableHost(
            "the session could not be saved", why=problem, fix="choose another -o DIR"
        )
    say(f"written: {', '.join(str(place / name) for name in (*forms, 'session.jsonl'))}")
    next_step(f"paste {place / 'report.md'} into the issue, or open {place / 'report.html'}")
    raise typer.Exit(plan.verdict(diagnosis.apart(whole)) if usable else 3)


def _make(folder: Path) -> str:
    """Makes the folder; says why it cannot be written to, if so."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"{folder}: {error.strerror}"
    return ""
