"""The command line: one file per subcommand, imported when it is used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from attnprobe import __version__
from attnprobe.errors import AttnprobeError

COMMANDS = {
    "info": "What this machine has: every backend's claim beside what a launch proved",
    "check": "Is each backend right here? Values and gradients against a float64 reference",
    "profile": "What does each backend cost? Time and memory, beside the verdict of that very case",
    "diagnose": "Which known pitfalls is this workload in? Each proven by an experiment",
    "report": "The main job: info, a quick check, timings and pitfalls in one report to paste",
    "explain": "The page of a pitfall: what happens, why, how it is proven, the fix",
    "render": "Any view of a saved session, on any machine",
    "compare": "Two sessions: what the upgrade made faster, slower, wrong or right",
    "capture": "Your own script, unmodified: every attention call that it makes",
    "repro": "One trial as a standalone script, as small as it can be",
    "profiles": "The workloads that ship",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command; the only place where an error becomes a message and an exit code.

    Raises:
        SystemExit: Always. Codes: 0 good, 1 the answer is bad, 2 bad usage or input, 3 the machine
            cannot do it, 4 a bug in attnprobe, 130 interrupted.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _app(given)(given, prog_name="attnprobe")
    except AttnprobeError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 - the user gets a file and a sentence, not a traceback
        from attnprobe.cli.crash import explain

        sys.exit(explain(error, given))


def _app(given: Sequence[str]) -> typer.Typer:
    """All commands by name and summary; only the one that is called gets its code and options."""
    app = typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # importing rich would cost more than the whole start-up may
    )
    app.callback()(_root)
    called = next((word for word in given if not word.startswith("-")), "")
    for name, summary in COMMANDS.items():
        code = _code(name) if name == called else _placeholder
        app.command(name, short_help=summary, help=None if name == called else summary)(code)
    return app


def _code(name: str) -> Callable[..., None]:
    found: Callable[..., None] = getattr(importlib.import_module(f"attnprobe.cli.{name}"), name)
    return found


def _placeholder() -> None: ...


def _version(wanted: bool) -> None:
    if wanted:
        print(f"attnprobe {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Which attention kernels run on this machine, whether each is right, and what each costs.

    Start with `attnprobe report`. The answer goes to stdout, progress to stderr.
    """
