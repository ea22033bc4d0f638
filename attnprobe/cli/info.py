"""`attnprobe info`: the machine, and every backend's claim beside what a launch proved."""

from __future__ import annotations

from typing import Annotated

import typer

from attnprobe import survey
from attnprobe.cli import options, views
from attnprobe.cli.output import next_step, say
from attnprobe.cli.progress import Progress
from attnprobe.device import backends
from attnprobe.session.lines import Header


def info(
    json: options.Json = "",
    no_run: Annotated[
        bool, typer.Option("--no-run", help="Take down claims; launch nothing.")
    ] = False,
    device: options.Device = "auto",
    session: options.Session = "",
    python: options.Python = "",
) -> None:
    """What this machine has: GPUs, libraries, and every backend's claim beside the fact.

    Each backend is launched in a child process, forward and backward in every dtype. Exits 3, with
    the report, where torch cannot be imported.
    """
    path, mode = options.session_file(session, False, "info")
    with survey.opened(Header("info"), path, mode, python or None, Progress) as survey_:
        environment = survey_.machine()
        usable = environment.torch is not None
        chosen = survey.device(device, environment) if usable else "cpu"
        survey_.backends(backends.names(), chosen, launch=usable and not no_run)
        report = survey_.finish()
    views.answer(report, json, survey_.journal.problem)
    say(f"session: {path}")
    next_step("attnprobe check", f"attnprobe render {path} --format md")
    raise typer.Exit(0 if usable else 3)
