"""`attnprobe render`: any view of a saved session."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attnprobe import session as sessions
from attnprobe.cli import options, views
from attnprobe.cli.output import emit, next_step, save
from attnprobe.redact import Identity, redact


def _form(value: str) -> str:
    if value not in views.FORMATS:
        raise typer.BadParameter(f"{value!r} is none of {', '.join(views.FORMATS)}")
    return value


def render(
    session: Annotated[str, typer.Argument(metavar="SESSION", help="A session.jsonl.")],
    form: Annotated[
        str,
        typer.Option("--format", callback=_form, metavar="FORMAT", help="text, md, html or json."),
    ] = "text",
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE", help="Write to this file.")
    ] = "",
    plot: options.Plot = "",
) -> None:
    """Any view of a saved session, on any machine: torch is not needed."""
    report = redact(sessions.load(session), Identity.of_this_host())
    views.draw(report, plot)
    if output:
        save({Path(output): views.text(report, form)})
        return
    if form == "text":
        views.show(views.document(report))
    else:
        emit(views.text(report, form))
    if form == "text":
        next_step(f"attnprobe render {session} --format md")
