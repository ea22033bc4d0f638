"""`attnprobe diagnose`: which known pitfalls is this workload in, proven by experiment?"""

from __future__ import annotations

from typing import Annotated

import typer

from attnprobe import diagnosis, pitfalls, plan, profiles, survey
from attnprobe.cli import options, views
from attnprobe.cli.output import next_step, say
from attnprobe.cli.progress import Progress
from attnprobe.diagnosis import experiments
from attnprobe.diagnosis.subjects import subjects
from attnprobe.session.lines import Header


def diagnose(
    workload: options.Workload = "first-timing",
    only: Annotated[
        list[str], typer.Option("--only", metavar="CODE", help="Only this pitfall; repeats.")
    ] = [],  # noqa: B006 - typer reads the default, nothing changes it
    skip: Annotated[
        list[str], typer.Option("--skip", metavar="CODE", help="Not this pitfall; repeats.")
    ] = [],  # noqa: B006 - as above
    budget: Annotated[
        float, typer.Option("--budget", min=1.0, metavar="SECONDS", help="Stop measuring by then.")
    ] = 60.0,
    device: options.Device = "auto",
    seed: options.Seed = 0,
    session: options.Session = "",
    resume: options.Resume = False,
    json: options.Json = "",
    python: options.Python = "",
) -> None:
    """Which known pitfalls is this workload in? Each is proven here by an experiment."""
    wanted = profiles.load(workload)
    rules = _rules(only, skip)
    path, mode = options.session_file(session, resume, "diagnose")
    header = Header("diagnose", workload, seed)
    with survey.opened(header, path, mode, python or None, Progress) as survey_:
        environment = survey_.machine()
        here = survey.device(device, environment)
        say(f"session: {path}")
        looked_into = subjects(wanted, plan.place(wanted, here, seed))
        found = diagnosis.suspicions(looked_into, here, environment, rules)
        for subject in looked_into:
            survey_.journal.subject(subject)
        for suspicion in found:
            survey_.journal.suspicion(suspicion)
        experiments.make(survey_, found, lambda: max(0.0, budget - survey_.seconds))
        report = survey_.finish()
    views.answer(report, json, survey_.journal.problem)
    next_step(f"attnprobe render {path} --format md")


def _rules(only: list[str], skip: list[str]) -> list[str]:
    chosen = {pitfalls.find(code) for code in only} or set(pitfalls.names())
    return sorted(chosen - {pitfalls.find(code) for code in skip})
