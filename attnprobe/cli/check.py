"""`attnprobe check`: is each backend right here?"""

from __future__ import annotations

from typing import Annotated

import typer

from attnprobe import known_bugs, plan, profiles, survey
from attnprobe.cli import options, views
from attnprobe.cli.output import next_step, say
from attnprobe.cli.progress import Progress
from attnprobe.core.trial import Trial
from attnprobe.errors import UsageError
from attnprobe.profiling import contestants
from attnprobe.session.lines import Header

LEVELS = ("quick", "full", "training")


def check(
    workload: options.Workload = "",
    level: Annotated[
        str,
        typer.Option("--level", metavar="LEVEL", help="quick, full or training, not a WORKLOAD."),
    ] = "",
    backend: options.Backends = [],  # noqa: B006 - typer reads the default, nothing changes it
    mask: options.Masks = [],  # noqa: B006 - as above
    dtype: options.Dtypes = [],  # noqa: B006 - as above
    only: Annotated[
        list[str],
        typer.Option(
            "--only", metavar="NAME", help="Only this experiment or kind of failure; repeats."
        ),
    ] = [],  # noqa: B006 - as above
    shape: Annotated[
        str, typer.Option("--shape", metavar="B,Hq,Hkv,Mq,Mkv,K", help="Every case at this shape.")
    ] = "",
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop at the first wrong result.")
    ] = False,
    device: options.Device = "auto",
    seed: options.Seed = 0,
    session: options.Session = "",
    resume: options.Resume = False,
    json: options.Json = "",
    python: options.Python = "",
    published: Annotated[
        bool, typer.Option("--known-bugs", help="Instead: which published bugs are here?")
    ] = False,
) -> None:
    """Is each backend right here? Values and gradients against a float64 reference.

    Exits 1 when a backend gave a wrong result or a published bug is here, else 0; a backend that
    refuses is not wrong.
    """
    published = published or only == ["known-bugs"]
    workload = _workload(workload, level)
    wanted = plan.choose(profiles.load(workload), mask, dtype, [] if published else only)
    if shape:
        wanted = plan.reshape(wanted, shape)
    who = contestants.choose(wanted.calls, backend, contestants.NOBODY)
    path, mode = options.session_file(session, resume, "check")
    header = Header("check", workload, seed)
    with survey.opened(header, path, mode, python or None, Progress) as survey_:
        say(f"session: {path}")
        here = survey.device(device, survey_.machine())
        survey_.require(who.backends)
        survey_.left_unsaid(wanted)
        if not published:
            asked = [
                Trial(call.case, name, question)
                for call in plan.place(wanted, here, seed)
                for name in who.of(call)
                for question in call.ask
            ]
            trained = [trial for trial in asked if trial.question == "training"]
            checked = [trial for trial in asked if trial.question != "training"]
            survey_.check("checking", checked, fail_fast=fail_fast)
            survey_.train("training", trained)
        if published or level == "full":
            asked = known_bugs.trials(here, who.backends if backend else None)
            survey_.check("looking for known bugs", asked)
        report = survey_.finish()
    views.answer(report, json, survey_.journal.problem)
    first = plan.to_reproduce(report)
    script = [f"attnprobe repro {path} {first} -o repro.py"] if first else []
    next_step(*script, f"attnprobe render {path} --format md", "attnprobe report")
    raise typer.Exit(plan.verdict(report))


def _workload(given: str, level: str) -> str:
    """The workload that is checked: the user's own, or that of a level.

    Raises:
        UsageError: Both, or no such level.
    """
    if level and given:
        raise UsageError(
            "--level chooses a workload, and one is given",
            why=f"{given} is asked what it says itself",
            fix="leave out one of the two",
        )
    if level not in ("", *LEVELS):
        raise UsageError(f"there is no level {level!r}", fix=f"--level {', '.join(LEVELS)}")
    return given or f"check-{level or 'quick'}"
