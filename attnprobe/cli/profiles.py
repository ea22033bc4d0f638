"""`attnprobe profiles`: the workloads that ship."""

from __future__ import annotations

from typing import Annotated

import typer

from attnprobe import profiles as shipped
from attnprobe.cli.output import emit, next_step


def profiles(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Show this one: its YAML, ready to be edited.")
    ] = "",
) -> None:
    """The workloads that ship; with NAME, the text of one.

    `attnprobe profiles check-quick > mine.yaml` starts a workload of your own.
    """
    if name:
        emit(shipped.text(name))
        count = len(shipped.load(name).cases)
        next_step(f"attnprobe check {name}   ({count} cases)")
        return
    workloads = [shipped.load(name) for name in shipped.names()]
    width = max(len(workload.name) for workload in workloads)
    lines = (f"{w.name:{width}}  {len(w.cases):4d} cases  {w.source}" for w in workloads)
    emit("\n".join(lines))
    next_step(f"attnprobe profiles {workloads[0].name}")
