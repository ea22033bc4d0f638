"""`attnprobe profiles`: the workloads that ship."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from attnprobe import profiles as shipped
from attnprobe.cli.output import emit, next_step
from attnprobe.errors import UsageError
from attnprobe.workload import Workload
from attnprobe.workload.schema import json_schema


def profiles(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Show this one: its YAML, ready to be edited.")
    ] = "",
    schema: Annotated[
        bool, typer.Option("--schema", help="The JSON Schema of workload files, for editors.")
    ] = False,
) -> None:
    """The workloads that ship; with NAME, the text of one.

    `attnprobe profiles check-quick > mine.yaml` starts a workload of your own, and so does `attnprobe
    profiles run.json` with what `attnprobe capture -o run.json` saw of a script.
    """
    if schema and name:
        raise UsageError("--schema is of all workloads", fix="leave out NAME, or --schema")
    if schema:
        emit(json.dumps(json_schema(), indent=2))
        next_step("save it, and begin a workload with `# yaml-language-server: $schema=FILE`")
        return
    if name:
        emit(shipped.text(name))
        workload = shipped.load(name)
        next_step(f"{_runs(name)}   ({_cases(workload)})")
        return
    workloads = [shipped.load(name) for name in shipped.names()]
    width = max(len(workload.name) for workload in workloads)
    lines = (f"{w.name:{width}}  {w.about}; {_cases(w)}; {w.source}" for w in workloads)
    emit("\n".join(lines))
    next_step(f"attnprobe profiles {workloads[0].name}")


def _cases(workload: Workload) -> str:
    """How many there are for each kind of machine."""
    cuda, cpu = (len(workload.on(device).cases) for device in ("cuda", "cpu"))
    return f"{cuda} cases on a GPU, {cpu} on a CPU"


def _runs(name: str) -> str:
    """The command that a workload was written for."""
    return f"attnprobe {'check' if name.startswith('check-') else 'profile'} {name}"
