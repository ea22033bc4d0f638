"""`attnprobe compare`: two sessions, and what changed between them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attnprobe import session as sessions
from attnprobe.cli import options, views
from attnprobe.cli.output import emit, next_step, save
from attnprobe.compare import compare as compared
from attnprobe.compare.regressions import KINDS, regressions
from attnprobe.redact import Identity, redact
from attnprobe.report import compare_json, json_view
from attnprobe.report.compose.compare import compare as composed

FORMATS = ("text", "md", "html")
_ANY, _NONE = "any", "none"


def _form(value: str) -> str:
    if value not in FORMATS:
        raise typer.BadParameter(f"{value!r} is none of {', '.join(FORMATS)}")
    return value


def _kinds(values: list[str]) -> list[str]:
    """The ways to be worse that count."""
    for value in values:
        if value not in (*KINDS, _ANY, _NONE):
            raise typer.BadParameter(f"{value!r} is none of {', '.join((*KINDS, _ANY, _NONE))}")
    return [*KINDS] if _ANY in values or not values else [v for v in values if v != _NONE]


def _names(values: list[str]) -> list[str]:
    for value in values:
        if not all(value.rpartition("=")[::2]):
            raise typer.BadParameter(f"{value!r} is not OLD=NEW, the backend's two names")
    return values


def compare(
    old: Annotated[str, typer.Argument(metavar="OLD", help="A session.jsonl.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Another one.")],
    form: Annotated[
        str, typer.Option("--format", callback=_form, metavar="FORMAT", help="text, md or html.")
    ] = "text",
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE", help="Write to this file.")
    ] = "",
    json: options.Json = "",
    fail_on: Annotated[
        list[str],
        typer.Option(
            "--fail-on",
            metavar="KIND",
            callback=_kinds,
            help=f"Exit 1 for this: {', '.join(KINDS)}, any (default) or none; repeats.",
        ),
    ] = [],  # noqa: B006 - typer reads the default, nothing changes it
    rename: Annotated[
        list[str],
        typer.Option(
            "--rename",
            metavar="OLD=NEW",
            callback=_names,
            help="The backend that OLD calls so is NEW's of that name; repeats.",
        ),
    ] = [],  # noqa: B006 - as above
    across_devices: Annotated[
        bool, typer.Option("--across-devices", help="Compare other devices too.")
    ] = False,
) -> None:
    """What changed from OLD to NEW: environments first, then every trial that both ran.

    Times count as slower or faster only where an interval that allows for all comparisons together
    says so. Exits 1 when something is worse in NEW, else 0. Torch is not needed.
    """
    identity = Identity.of_this_host()
    before, after = (redact(sessions.load(path), identity) for path in (old, new))
    names = dict(value.rpartition("=")[::2] for value in rename)
    found = compared(before, after, names, across_devices)
    shown, data = composed(found), json_view.dumps(compare_json.compare(found))
    if json == "-":
        emit(data)
    elif output:
        save({Path(output): views.written(shown, form, "attnprobe compare")})
    elif form == "text":
        views.show(shown)
    else:
        emit(views.written(shown, form, "attnprobe compare"))
    if json not in ("", "-"):
        save({Path(json): data})
    worse = regressions(found, fail_on)
    if form == "text" and json != "-":
        next_step(f"attnprobe compare {old} {new} --format md")
    raise typer.Exit(int(bool(worse)))
