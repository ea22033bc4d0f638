"""Options that several commands share: the same name means the same thing everywhere."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnprobe.errors import UsageError

if TYPE_CHECKING:  # importing sessions takes a tenth of the time that --no-run has
    from attnprobe.session.journal import Mode

DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16", "fp64": "float64"}
DEVICES = ("auto", "cpu", "cuda")


def _device(value: str) -> str:
    if value not in DEVICES:
        raise typer.BadParameter(f"{value!r} is none of {', '.join(DEVICES)}")
    return value


def _dtypes(values: list[str]) -> list[str]:
    """Short names written out."""
    return [DTYPES.get(value, value) for value in values]


Workload = Annotated[
    str, typer.Argument(metavar="WORKLOAD", help="A shipped workload's name, or a YAML file.")
]
Backends = Annotated[
    list[str],
    typer.Option(
        "--backend",
        metavar="NAME",
        help="A backend, a glob, FILE.py:FUNC or package.module:FUNC; repeats. Default: all.",
    ),
]
Masks = Annotated[
    list[str],
    typer.Option("--mask", metavar="NAME", help="Only cases of this name or mask; repeats."),
]
Dtypes = Annotated[
    list[str],
    typer.Option(
        "--dtype", metavar="DTYPE", callback=_dtypes, help="Only this element type; repeats."
    ),
]
Device = Annotated[
    str, typer.Option("--device", callback=_device, metavar="DEVICE", help="auto, cpu or cuda.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Another seed gives other numbers.")]
Session = Annotated[
    str, typer.Option("--session", metavar="FILE", help="Where results are kept as they come.")
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume", help="Go on with the session that is there: run only what is missing."
    ),
]
Json = Annotated[
    str,
    typer.Option("--json", metavar="FILE", help="JSON too; - makes stdout one JSON document."),
]
Plot = Annotated[
    str,
    typer.Option("--plot", metavar="DIR", help="Pictures too, as PNG files in this folder."),
]
Python = Annotated[
    str,
    typer.Option(
        "--python",
        metavar="PATH",
        help="Diagnose this interpreter, into which nothing is installed.",
    ),
]
Pythons = Annotated[
    list[str],
    typer.Option(
        "--python",
        metavar="PATH",
        help="As for other commands; given twice, OLD and NEW take turns and are compared.",
    ),
]


def session_file(given: str, resume: bool, command: str) -> tuple[Path, Mode]:
    """Where the session goes and how it is opened: without a name, to a new file for temporary things.

    Raises:
        UsageError: There is nothing to resume.
    """
    if given:
        return Path(given), "resume" if resume else "new"
    if resume:
        raise UsageError("--resume needs to know what to go on with", fix="add --session FILE")
    return fresh(command, ".jsonl"), "new"


def fresh(what: str, suffix: str) -> Path:
    """A new file for temporary things."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return Path(tempfile.gettempdir()) / f"attnprobe-{what}-{stamp}-{os.getpid()}{suffix}"
