"""`attnprobe diagnose`: which known pitfalls is this workload in, proven by experiment?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnprobe import diagnosis, info, pitfalls, plan, profiles
from attnprobe.cli import options, views
from attnprobe.cli.described import described
from attnprobe.cli.output import next_step, say
from attnprobe.cli.progress import Progress
from attnprobe.core.diagnosis import SEVERITIES, Finding
from attnprobe.core.environment import Environment
from attnprobe.core.report import Report
from attnprobe.diagnosis.subjects import subjects
from attnprobe.errors import UsageError
from attnprobe.workload import Workload

if TYPE_CHECKING:
    from attnprobe.session.journal import Mode

DEFAULT = "first-timing"

EXPERIMENTS = 0.6
"""Of the time, for experiments; who else could make the call is tried in the rest."""

VERDICTS = ("confirmed", "inconclusive", "would_test")


def diagnose(
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="[WORKLOAD | CAPTURE | -- SCRIPT [ARGS]]",
            help="A shipped workload's name, a YAML file, a capture, or a script to be captured.",
        ),
    ] = [],  # noqa: B006 - typer reads the default, nothing changes it
    no_run: Annotated[
        bool, typer.Option("--no-run", help="Suspicions alone; nothing is started, no GPU needed.")
    ] = False,
    only: Annotated[
        list[str],
        typer.Option("--only", metavar="CODE", help="Only this pitfall, by code or name; repeats."),
    ] = [],  # noqa: B006 - typer reads the default, nothing changes it
    skip: Annotated[
        list[str], typer.Option("--skip", metavar="CODE", help="Not this pitfall; repeats.")
    ] = [],  # noqa: B006 - as above
    budget: Annotated[
        float, typer.Option("--budget", min=1.0, metavar="SECONDS", help="Stop measuring by then.")
    ] = 55.0,
    fail_on: Annotated[
        str,
        typer.Option(
            "--fail-on",
            metavar="VERDICT:SEVERITY",
            help="Exit 1 on such a finding, or on a graver one: confirmed:high.",
        ),
    ] = "",
    shape: Annotated[
        str,
        typer.Option(
            "--shape",
            metavar="B,Hq,Hkv,Mq,Mkv,K",
            help="Without WORKLOAD: a call of this shape. With it: every case at this shape.",
        ),
    ] = "",
    mask: options.Masks = [],  # noqa: B006 - as above
    dtype: options.Dtypes = [],  # noqa: B006 - as above
    backend: Annotated[
        str, typer.Option("--backend", metavar="NAME", help="What the code calls today.")
    ] = "",
    habit: Annotated[
        list[str],
        typer.Option(
            "--habit",
            metavar="NAME",
            help="What the code does around the call (`attnprobe explain --habits`); repeats.",
        ),
    ] = [],  # noqa: B006 - as above
    case: Annotated[
        list[str],
        typer.Option(
            "--case", metavar="NAME=VALUE", help="With --shape: another field of the case; repeats."
        ),
    ] = [],  # noqa: B006 - as above
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, metavar="N", help="End SCRIPT after N optimizer steps."),
    ] = None,
    device: options.Device = "auto",
    seed: options.Seed = 0,
    session: options.Session = "",
    resume: options.Resume = False,
    json: options.Json = "",
    python: options.Python = "",
) -> None:
    """Which known pitfalls is this workload in? Each is proven here by an experiment.

    After -- comes a script, or -m and a module: it is run as it is, its attention calls are taken down,
    and those are looked into.

    What is predicted is fixed before anything runs; what is refuted is said too. Ends with the fastest
    backend that is right for each call. Exits 1 with --fail-on and such a finding.
    """
    grave = _grave(fail_on)
    rules = _rules(only, skip)
    workload = _named(command, steps, python)
    if not workload and shape:
        wanted = described(shape, dtype, mask, backend, habit, case)
    else:
        wanted = _chosen(workload or DEFAULT, shape, mask, dtype, backend, habit, case)
    if no_run:
        machine = info.on_disk(python or None)
        report = _suspicions(wanted, device, seed, machine, rules)
        views.answer(report, json, "")
        next_step("the same without --no-run proves or refutes them")
        raise typer.Exit(int(any(map(grave, diagnosis.findings(report)))))
    path, mode = options.session_file(session, resume, "diagnose")
    report, problem = _proven(wanted, path, mode, budget, device, seed, python, rules, bool(only))
    views.answer(report, json, problem)
    next_step(*_next(report, path))
    raise typer.Exit(int(any(map(grave, diagnosis.findings(report)))))


def _proven(
    wanted: Workload,
    path: Path,
    mode: Mode,
    budget: float,
    device: str,
    seed: int,
    python: str,
    rules: list[str],
    narrow: bool,
) -> tuple[Report, str]:
    """The session with all experiments, and why its file does not hold it, if so."""
    # here, because starting a child takes more code than --no-run has time for
    from attnprobe import survey
    from attnprobe.diagnosis import experiments
    from attnprobe.session.lines import Header

    header = Header("diagnose", wanted.name, seed)
    with survey.opened(header, path, mode, python or None, Progress) as survey_:
        environment = survey_.machine()
        here = survey.device(device, environment)
        say(f"session: {path}")
        survey_.left_unsaid(wanted)
        looked_into = subjects(wanted, plan.place(wanted, here, seed))
        found = diagnosis.suspicions(looked_into, here, environment, rules)
        experiments.keep(survey_, looked_into, found)
        experiments.make(survey_, found, lambda: EXPERIMENTS * budget - survey_.seconds)
        if not narrow:
            experiments.advise(survey_, looked_into, lambda: budget - survey_.seconds)
        return survey_.finish(), survey_.journal.problem


def _named(command: list[str], steps: int | None, python: str) -> str:
    """The workload that was named; a script is run, and its capture is the workload.

    Raises:
        UsageError: Options of a script without one, or a script that made no attention call.
    """
    script = len(command) > 1 or any(word.endswith(".py") for word in command)
    if not script:
        if steps is not None:
            raise UsageError(
                "--steps is about a script", fix="diagnose --steps 20 -- train.py ARGS"
            )
        return "".join(command)
    from attnprobe.capture import launch
    from attnprobe.cli import scripted

    output = options.fresh("capture", ".json")
    wish = launch.Wish(tuple(command), str(output), stop_after=steps, python=python or None)
    code, path, found = scripted.seen(wish)
    if found is None:
        raise UsageError(
            "nothing was taken down of the script",
            why=f"it was killed early (exit code {code})",
            fix="see that it runs without attnprobe",
        )
    if code:
        say(f"the script ended with exit code {code}; what it called until then is looked into")
    say(f"capture: {path} ({len(found.calls)} different attention calls)")
    return str(path)


def _chosen(
    workload: str,
    shape: str,
    mask: list[str],
    dtype: list[str],
    backend: str,
    habit: list[str],
    case: list[str],
) -> Workload:
    """A file's workload, narrowed; what the code does may be said besides."""
    if case:
        raise UsageError(
            "--case describes a call, and this is a workload",
            fix="leave out WORKLOAD and give --shape, or write the field into the workload",
        )
    chosen = plan.choose(profiles.load(workload), mask, dtype)
    chosen = plan.reshape(chosen, shape) if shape else chosen
    calls = tuple(
        replace(
            call,
            backend=backend or call.backend,
            habits=tuple(dict.fromkeys((*call.habits, *habit))),
        )
        for call in chosen.calls
    )
    return replace(chosen, calls=calls)


def _rules(only: list[str], skip: list[str]) -> list[str]:
    chosen = {pitfalls.find(code) for code in only} or set(pitfalls.names())
    left = sorted(chosen - {pitfalls.find(code) for code in skip})
    if not left:
        raise UsageError("no pitfall is left to look for", fix="leave out --skip or --only")
    return left


def _suspicions(
    wanted: Workload, device: str, seed: int, environment: Environment, rules: list[str]
) -> Report:
    """A session in which nothing was run: no process was started and no file written."""
    likely = "cuda" if environment.gpus else "cpu"
    here = likely if device == "auto" else device
    looked_into = subjects(wanted, plan.place(wanted, here, seed))
    found = diagnosis.suspicions(looked_into, here, environment, rules)
    return Report(
        command="diagnose",
        workload=wanted.name,
        seed=seed,
        environment=environment,
        subjects=looked_into,
        suspicions=tuple(found),
        notes=wanted.notes,
    )


def _grave(fail_on: str) -> Callable[[Finding], bool]:
    """Whether a finding is one of those, as grave or graver."""
    if not fail_on:
        return lambda finding: False
    verdict, _, severity = fail_on.partition(":")
    severity = severity or "low"
    if verdict not in VERDICTS or severity not in SEVERITIES:
        raise UsageError(
            f"--fail-on {fail_on[:60]!r} is none",
            fix=f"VERDICT:SEVERITY of {', '.join(VERDICTS)} and {', '.join(SEVERITIES)}",
        )
    worst = SEVERITIES[: SEVERITIES.index(severity) + 1]
    return lambda found: found.verdict == verdict and found.suspicion.severity in worst


def _next(report: Report, path: Path) -> list[str]:
    found = [f for f in diagnosis.findings(report) if f.verdict == "confirmed"]
    page = [f"attnprobe explain {found[0].suspicion.code}"] if found else []
    return [*page, f"attnprobe render {path} --format md"]
