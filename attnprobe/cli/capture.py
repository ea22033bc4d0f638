"""`attnprobe capture`: a script of one's own, and every attention call that it makes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from attnprobe.capture import launch
from attnprobe.capture.writing import rank_path
from attnprobe.cli import options, scripted
from attnprobe.cli.output import next_step, say
from attnprobe.errors import UsageError
from attnprobe.report import terminal
from attnprobe.report.compose.capture import capture as composed


def capture(
    command: Annotated[
        list[str],
        typer.Argument(metavar="-- SCRIPT [ARGS]", help="Or -- -m PACKAGE [ARGS]."),
    ],
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE", help="Where the capture goes.")
    ] = "capture.json",
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, metavar="N", help="Record N optimizer steps, run on."),
    ] = None,
    stop_after: Annotated[
        int | None,
        typer.Option("--stop-after", min=1, metavar="N", help="End the script after N steps."),
    ] = None,
    timing: Annotated[
        bool, typer.Option("--timing", help="Time forward and backward of every call.")
    ] = False,
    python: options.Python = "",
) -> None:
    """Runs a script unmodified and records every attention call that it makes.

    Its output, exit code and results are its own; the table of its calls goes to stderr. No contents of
    tensors and no arguments of the script are kept.

    Under torchrun: `torchrun --no-python attnprobe capture -o run.json -- train.py` (a file per rank).
    """
    _hold_writable(Path(rank_path(output)))
    wish = launch.Wish(tuple(command), output, steps, stop_after, timing, python or None)
    code, path, found = scripted.seen(wish)
    if found is None:
        say(f"attnprobe: no capture was written: the script was killed early (exit code {code})")
    elif found.rank in (None, 0):
        sys.stderr.write(terminal.text(composed(found)))
        say(f"capture: {path}")
        next_step(f"attnprobe diagnose {path}", f"attnprobe check {path}")
    raise typer.Exit(code)


def _hold_writable(path: Path) -> None:
    """Before the script runs for hours.

    Raises:
        UsageError: Nothing can be written there.
    """
    folder = path.absolute().parent
    if path.is_dir() or not os.access(folder, os.W_OK):
        why = "it is a folder" if path.is_dir() else f"{folder} is no folder that can be written to"
        raise UsageError(f"-o {path} cannot be written", why=why, fix="give another file")
