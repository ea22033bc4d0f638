"""Two interpreters diagnosed in one go, in turns, and then compared: what did the upgrade do?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

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
) -> tuple[Report, Report]:
    """Measures with each interpreter, then lets them take turns with what both timed.

    Args:
        pythons: OLD and NEW.
        header: Of both sessions.
        measure: The command itself.
        device: auto, cpu or cuda.
        session: `x.jsonl` names x-old.jsonl and x-new.jsonl; empty names new files for temporary things.
        resume: Whether the sessions are gone on with.
        budget_s: Seconds for all of it; None takes as long as it takes.

    Raises:
        UsageError: Not two interpreters, or they would measure on two devices.
        Interrupted: Ctrl-C; both sessions hold everything until then.
    """
    if len(pythons) != 2:
        raise UsageError(
            f"--python is given {len(pythons)} times",
            fix="once to diagnose an interpreter, twice to compare OLD with NEW",
        )
    stem, mode = options.session_file(session, resume, header.command)
    paths = [stem.with_name(f"{stem.stem}-{side}{stem.suffix}") for side in ("old", "new")]
    with (
        survey.opened(header, paths[0], mode, pythons[0], Progress) as old,
        survey.opened(header, paths[1], mode, pythons[1], Progress) as new,
    ):
        within = None if budget_s is None else _SHARE * budget_s
        try:
            _require_one_device(device, old, new)
            before = _side("OLD", old, measure(old, paths[0], within))
        except UsageError:
            for path in paths if mode == "new" else ():
                path.unlink(missing_ok=True)  # nothing was measured; the names stay free
            raise
        after = _side("NEW", new, measure(new, paths[1], within))
        left = None if budget_s is None else budget_s - old.seconds
        with Progress("taking turns") as progress:
            taken = upgrade.take_turns(before, after, progress, seed=header.seed, budget_s=left)
        for side, records in ((old, taken.old), (new, taken.new)):
            for record in records:
                side.journal.record(record)
            for note in taken.notes:
                side.journal.note(note)
        if taken.interrupted is not None:
            raise taken.interrupted
        reports = old.finish(), new.finish()
        problem = old.journal.problem or new.journal.problem
    if problem:
        raise UnusableHost("a session could not be saved", why=problem, fix="use --session FILE")
    next_step(f"attnprobe compare {paths[0]} {paths[1]} --format md")
    return reports


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


def answer(reports: tuple[Report, Report], json: str) -> int:
    """Prints the comparison, its JSON where that is wanted; the exit code.

    Args:
        reports: OLD and NEW.
        json: A file, `-` for stdout alone, or empty.
    """
    found = compare(*reports)
    data = json_view.dumps(compare_json.compare(found))
    if json == "-":
        emit(data)
    else:
        views.show(composed(found))
        if json:
            save({Path(json): data})
    return int(bool(regressions(found, KINDS)))
