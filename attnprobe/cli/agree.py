"""Says how many trials a run has and how long it is likely to take; a long one is asked about first."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import typer

from attnprobe.cli.output import say
from attnprobe.core import units
from attnprobe.core.trial import Record, Trial
from attnprobe.errors import UsageError
from attnprobe.profiling.duration import MANY_TRIALS, MUCH_TIME_S, expected_s


def agree(trials: Sequence[Trial], done: Mapping[str, Record], asked: bool) -> None:
    """Goes on where the run is short, or the user has agreed to it.

    Args:
        trials: All of the run.
        done: Those that a session holds already, by id.
        asked: Whether the user is still to be asked, which only a terminal can do.

    Raises:
        UsageError: The run is long, and nobody agreed to it.
    """
    left = {trial.id: trial for trial in trials if trial.id not in done}
    cases = len({trial.case for trial in left.values()})
    seconds = expected_s(left.values())
    words = f"{len(left)} timings of {cases} case{'s' * (cases != 1)}, about {_about(seconds)}"
    if done:
        words += f" ({len(trials) - len(left)} are in the session already)"
    say(words)
    long = len(left) > MANY_TRIALS or seconds > MUCH_TIME_S
    if not (long and asked):
        return
    if sys.stdin.isatty() and sys.stderr.isatty():
        if typer.confirm("Go on?", err=True):
            return
        raise UsageError("nothing was measured", fix="fewer cases, or --budget SECONDS")
    raise UsageError(
        f"that is a long run: {words}",
        why=f"more than {MANY_TRIALS} timings or {units.seconds(MUCH_TIME_S)} are asked about first",
        fix="--yes runs it; --budget SECONDS bounds it; --backend, --mask or fewer values shorten it",
    )


def _about(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
