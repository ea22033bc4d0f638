"""`attnprobe check`: is each backend right here?"""

from __future__ import annotations

from typing import Annotated

import typer

from attnprobe import known_bugs, plan, profiles, survey
from attnprobe.cli import options, views
from attnprobe.cli.output import next_step, say
from attnprobe.cli.progress import Progress
from attnprobe.device import backends
from attnprobe.errors import UsageError
from attnprobe.session.lines import Header


def check(
    workload: options.Workload = "check-quick",
    level: Annotated[str, typer.Option("--level", help="quick; full is not there yet.")] = "quick",
    backend: options.Backends = [],  # noqa: B006 - typer reads the default, nothing changes it
    mask: options.Masks = [],  # noqa: B006 - as above
    dtype: options.Dtypes = [],  # noqa: B006 - as above
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
    if level != "quick":
        why = "the full level is planned, not built" if level == "full" else "known: quick"
        raise UsageError(f"there is no level {level!r}", why=why, fix="--level quick")
    names = backends.match(backend) if backend else backends.names()
    wanted = plan.choose(profiles.load(workload), mask, dtype)
    path, mode = options.session_file(session, resume, "check")
    header = Header("check", workload, seed)
    with survey.opened(header, path, mode, python or None, Progress) as survey_:
        say(f"session: {path}")
        here = survey.device(device, survey_.machine())
        survey_.require(names)
        if not published:
            survey_.check("checking", plan.trials(plan.place(wanted, here, seed), names))
        if published or level == "full":
            asked = known_bugs.trials(here, names if backend else None)
            survey_.check("looking for known bugs", asked)
        report = survey_.finish()
    views.answer(report, json, survey_.journal.problem)
    next_step(f"attnprobe render {path} --format md", "attnprobe report")
    raise typer.Exit(plan.verdict(report))
