"""`attnprobe profile`: what does each backend cost, and is it right where it was timed?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from attnprobe import plan, profiles, survey
from attnprobe.cli import options, views
from attnprobe.cli.agree import agree
from attnprobe.cli.both import both
from attnprobe.cli.output import next_step, say
from attnprobe.cli.progress import Progress
from attnprobe.core.report import Report
from attnprobe.core.trial import Record
from attnprobe.errors import UsageError
from attnprobe.profiling import contestants, longest, questions, sweep
from attnprobe.profiling.seek import seek
from attnprobe.report import plots
from attnprobe.report.compose import longest as found_longest
from attnprobe.report.compose import reading
from attnprobe.session.lines import Header
from attnprobe.workload import Workload

DEFAULT = "first-timing"


def profile(
    workload: options.Workload = DEFAULT,
    backend: options.Backends = [],  # noqa: B006 - typer reads the default, nothing changes it
    mask: options.Masks = [],  # noqa: B006 - as above
    dtype: options.Dtypes = [],  # noqa: B006 - as above
    sweeps: Annotated[
        list[str],
        typer.Option(
            "--sweep",
            metavar="FIELD=VALUES",
            help="Every case at each value; repeats, as a grid. M=512..65536 doubles, "
            "Mq=512..4096+512 steps, B=1,8,64 lists.",
        ),
    ] = [],  # noqa: B006 - as above
    shape: Annotated[
        str, typer.Option("--shape", metavar="B,Hq,Hkv,Mq,Mkv,K", help="Every case at this shape.")
    ] = "",
    target_ci: Annotated[
        float,
        typer.Option(
            "--target-ci",
            min=0.1,
            max=20.0,
            metavar="PERCENT",
            help="Half width of the interval of a median at which sampling stops.",
        ),
    ] = 2.0,
    warm: Annotated[
        bool, typer.Option("--warm", help="Inputs may lie in the cache; else it is cold.")
    ] = False,
    against: Annotated[
        str,
        typer.Option(
            "--against",
            metavar="NAME",
            help="Compare with this backend, in the same rounds; none compares nothing. "
            "Default: what the workload's own code calls, else sdpa-default.",
        ),
    ] = "",
    max_length: Annotated[
        bool, typer.Option("--max-length", help="Search for the longest sequence that fits, too.")
    ] = False,
    budget: Annotated[
        float, typer.Option("--budget", min=0.0, metavar="SECONDS", help="Stop measuring by then.")
    ] = 0.0,
    yes: Annotated[bool, typer.Option("--yes", help="Run it however long it takes.")] = False,
    device: options.Device = "auto",
    seed: options.Seed = 0,
    session: options.Session = "",
    resume: options.Resume = False,
    json: options.Json = "",
    plot: options.Plot = "",
    python: options.Pythons = [],  # noqa: B006 - as above
) -> None:
    """What does each backend cost? Time, memory and share of this machine's limits.

    Forward, backward alone and both, with intervals; every number beside the verdict of the very case
    that was timed. Exits 1 when a backend gave a wrong result; with two interpreters, when NEW is worse.
    """
    if plot:
        plots.require()  # said before anything is measured
    wanted = profiles.load(workload)
    how = questions.sampling(target_ci, warm)
    chosen, axes = _chosen(wanted, mask, dtype, shape), sweep.axes(sweeps)
    everywhere = sweep.spread(chosen, axes)  # what is impossible is said before anything is started
    asked = contestants.choose(everywhere.workload.calls, backend or wanted.backends, against)
    header = Header("profile", workload, seed)

    def measure(of: survey.Survey, file: Path, within: float | None) -> list[Record]:
        """What is asked of one interpreter, in so many seconds."""
        began = of.seconds

        def left() -> float | None:
            return None if within is None else max(0.0, within - (of.seconds - began))

        here = survey.device(device, of.machine())
        of.require(asked.backends)
        swept = sweep.spread(replace(chosen, calls=plan.place(chosen, here, seed)), axes)
        for left_out in swept.left_out:
            of.journal.note(f"left out of the sweep: {left_out}")
        for number in wanted.reported:
            of.journal.reported(number)
        of.left_unsaid(wanted)
        timed = asked.only(of.usable(asked.backends))
        calls = swept.workload.calls
        trials = questions.timings(calls, timed, how)
        try:
            agree(trials, of.journal.done, asked=not yes and not budget)
        except BaseException:
            if not resume:
                file.unlink(missing_ok=True)  # nothing was measured; the name stays free
            raise
        say(f"session: {file}")
        found = of.time("timing", trials, left(), questions.Further(calls, timed))
        if max_length:
            searches = longest.searches(calls, timed.backends)
            seek(of, searches, here, left())
        return found

    if len(python) > 1:
        if plot:
            raise UsageError(
                "--plot draws one session, and two interpreters make two",
                fix="`attnprobe render SESSION --plot DIR` draws each of them afterwards",
            )
        within = budget or None
        raise typer.Exit(both(python, header, measure, device, session, resume, within, json))
    path, mode = options.session_file(session, resume, "profile")
    with survey.opened(header, path, mode, "".join(python) or None, Progress) as survey_:
        measure(survey_, path, budget or None)
        report = survey_.finish()
    views.answer(report, json, survey_.journal.problem)
    views.draw(report, plot)
    next_step(*_next(report, workload, path, sweeps))
    raise typer.Exit(plan.verdict(reading.judged(report)))


def _chosen(workload: Workload, masks: list[str], dtypes: list[str], shape: str) -> Workload:
    chosen = plan.choose(workload, masks, dtypes)
    return plan.reshape(chosen, shape) if shape else chosen


def _next(report: Report, workload: str, path: Path, swept: list[str]) -> list[str]:
    """What is useful now: the script of what is wrong, else what was not asked yet."""
    found = []
    wrong = plan.to_reproduce(report)
    if wrong:
        found.append(f"attnprobe repro {path} {wrong} -o repro.py")
    if not swept:
        cases = [record.trial.case for record in report.records]
        field = "Mkv" if all(case.Mq != case.Mkv for case in cases) else "M"
        values = "64..1024" if all(case.device == "cpu" for case in cases) else "512..8192"
        found.append(f"attnprobe profile {workload} --sweep {field}={values}")
    elif not found_longest.longest(report):
        found.append(f"attnprobe profile {workload} --max-length")
    return [*found, f"attnprobe render {path} --format md"]
