"""Two interpreters diagnosed in one go, in turns, and then compared: what did the upgrade do?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from attnprobe import session as sessions
from attnprobe import survey, upgrade
from attnprobe.cli import options, views
from attnprobe.cli.output import emit, next_step, save
from attnprobe.cli.progress import Progress
from attnprobe.compare import compare
from attnprobe.compare.regressions import KINDS, regressions
from attnprobe.core.report import Report
from attnprobe.core.trial import Record
from attnprobe.errors import UnusableHost, UsageError
from attnprobe.report import compare_json, json_view
from attnprobe.report.compose.compare import compare as composed
from attnprobe.session.lines import Header
from attnprobe.survey import Survey

Measure = Callable[[Survey, Path, "float | None"], Sequence[Record]]
"""What a command asks of one interpreter, with its session's file and seconds to spend: its records."""

_SHARE = 0.3
"""Of the budget, for measuring each interpreter; the turns get what is left."""


def both(
    pythons: Sequence[str],
    header: Header,
    measure: Measure,
    device: str,
    session: str,
    resume: bool,
    budget_s: float | None,
    json: str,
) -> int:
    """Measures with each interpreter, lets them take turns with what both timed, and compares.

    Args:
        pythons: OLD and NEW.
        header: Of both sessions.
        measure: The command itself.
        device: auto, cpu or cuda.
        session: `x.jsonl` names x-old.jsonl and x-new.jsonl; empty names new files for temporary things.
        resume: Whether the sessions are gone on with.
        budget_s: Seconds for all of it; None takes as long as it takes.
        json: Where the comparison's JSON goes: a file, `-` for stdout alone, or empty.

    Returns:
        The exit code: 1 when NEW is worse.

    Raises:
        UsageError: Not two interpreters, or they would measure on two devices.
        UnusableHost: A file could not be written; the comparison is on stdout.
        Interrupted: Ctrl-C; both sessions hold everything until then.
    """
    if len(pythons) != 2:
        raise UsageError(
            f"--python is given {len(pythons)} times",
            fix="once to diagnose an interpreter, twice to compare OLD with NEW",
        )
    stem, mode = options.session_file(session, resume, header.command)
    paths = [stem.with_name(f"{stem.stem}-{side}{stem.suffix}") for side in ("old", "new")]
    made = [path for path in paths if not path.exists()]
    try:
        with (
            survey.opened(header, paths[0], mode, pythons[0], Progress) as old,
            survey.opened(header, paths[1], mode, pythons[1], Progress) as new,
        ):
            _measure((old, new), paths, measure, device, budget_s)
    except UsageError:
        for path in made:
            if path.exists() and not sessions.load(path).records:
                path.unlink()  # nothing was measured; the name stays free
        raise
    reports = old.journal.report, new.journal.report
    worse = _answer(reports, json)
    problem = old.journal.problem or new.journal.problem
    if problem:
        raise UnusableHost("a session could not be saved", why=problem, fix="use --session FILE")
    next_step(f"attnprobe compare {paths[0]} {paths[1]} --format md")
    return worse


def _measure(
    surveys: tuple[Survey, Survey],
    paths: Sequence[Path],
    measure: Measure,
    device: str,
    budget_s: float | None,
) -> None:
    """One after the other, then in turns; everything goes into the two sessions."""
    _require_one_device(device, *surveys)
    within = None if budget_s is None else _SHARE * budget_s
    old, new = (
        _side(name, of, measure(of, path, within))
        for name, of, path in zip(("OLD", "NEW"), surveys, paths, strict=True)
    )
    left = None if budget_s is None else budget_s - surveys[0].seconds
    with Progress("taking turns") as progress:
        taken = upgrade.take_turns(
            old, new, progress, seed=surveys[0].journal.report.seed, budget_s=left
        )
    for of, records in zip(surveys, (taken.old, taken.new), strict=True):
        for record in records:
            of.journal.record(record)
        for note in taken.notes:
            of.journal.note(note)
    if taken.interrupted is not None:
        raise taken.interrupted
    for of in surveys:
        of.finish()


def _require_one_device(asked: str, old: Survey, new: Survey) -> None:
    """Makes sure that both interpreters are there and measure on the same kind of device.

    Raises:
        UsageError: They do not, or one is no interpreter.
        UnusableHost: There is no such device.
    """
    before, after = (survey.device(asked, of.machine()) for of in (old, new))
    if before != after:
        raise UsageError(
            f"OLD would measure on {before} and NEW on {after}",
            why="torch sees a GPU in one of the two environments alone",
            fix="--device cpu measures both on the CPU; `attnprobe info --python PATH` says why",
        )


def _side(name: str, of: Survey, records: Sequence[Record]) -> upgrade.Side:
    """A side with what it measured; its child is ended, so that the other one has the device."""
    of.worker.retire()
    known = {record.trial.id: record for record in records}
    return upgrade.Side(name, of.worker.trial, of.worker.retire, known)


def _answer(reports: tuple[Report, Report], json: str) -> int:
    """Prints the comparison, and its JSON where that is wanted; 1 when NEW is worse."""
    found = compare(*reports)
    data = json_view.dumps(compare_json.compare(found))
    if json == "-":
        emit(data)
    else:
        views.show(composed(found))
        if json:
            save({Path(json): data})
    return int(bool(regressions(found, KINDS)))
