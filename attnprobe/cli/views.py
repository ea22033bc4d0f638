"""A session as text: which view a command has, and in which form it is wanted."""

from __future__ import annotations

import sys
from pathlib import Path

from attnprobe.cli.output import emit, save, say
from attnprobe.core.report import Report
from attnprobe.errors import UnusableHost
from attnprobe.report import compose, json_view
from attnprobe.report.document import Document

FORMATS = ("text", "md", "html", "json")


def document(report: Report) -> Document:
    """What the command that made this session says of it."""
    views = {
        "info": compose.info,
        "check": compose.check,
        "profile": compose.profile,
        "diagnose": compose.diagnose,
    }
    return views.get(report.command, compose.full)(report)


def text(report: Report, form: str) -> str:
    """The session's view in one of FORMATS."""
    if form == "json":
        views = {
            "info": json_view.info,
            "check": json_view.check,
            "profile": json_view.profile,
            "diagnose": json_view.diagnose,
        }
        return json_view.dumps(views.get(report.command, json_view.full)(report))
    return written(document(report), form, f"attnprobe {report.command}")


def written(shown: Document, form: str, title: str) -> str:
    """A document as md, html or text."""
    match form:
        case "md":
            from attnprobe.report import markdown

            return markdown.render(shown)
        case "html":
            from attnprobe.report import html

            return html.render(shown, title)
        case _:
            from attnprobe.report import terminal

            return terminal.text(shown)


def show(shown: Document) -> None:
    """To stdout: in colour on a terminal, plain elsewhere."""
    from attnprobe.report import terminal

    if not sys.stdout.isatty():
        emit(terminal.text(shown))
        return
    from rich.console import Console

    terminal.render(shown, Console())


def answer(report: Report, json: str, problem: str) -> None:
    """Prints the result of a command, and its JSON where that is wanted.

    Args:
        report: The session.
        json: A file, `-` for stdout alone, or empty.
        problem: Why the session file does not hold the session; empty when it does.

    Raises:
        UnusableHost: A file could not be written; what it should hold is on stdout.
    """
    if json == "-":
        emit(text(report, "json"))
    else:
        show(document(report))
        if json:
            save({Path(json): text(report, "json")})
    if problem:
        raise UnusableHost("the session could not be saved", why=problem, fix="use --session FILE")


def draw(report: Report, folder: str) -> None:
    """Writes the session's pictures as PNG files and says where; nothing for an empty name.

    Raises:
        UnusableHost: Matplotlib is not installed, or the folder cannot be written to.
    """
    if not folder:
        return
    from attnprobe.report import plots

    plots.require()
    try:
        written = plots.write(compose.figures(report), Path(folder))
    except OSError as error:
        raise UnusableHost(
            f"pictures could not be written to {folder}",
            why=error.strerror or type(error).__name__,
            fix="choose another --plot DIR; `attnprobe render SESSION --plot DIR` draws them again",
        ) from None
    what = f"{len(written)} pictures in {folder}" if written else "there is nothing to draw"
    say(f"plot: {what}")
