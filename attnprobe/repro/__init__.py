"""One trial as a standalone Python file: torch and the library under test, nothing of attnprobe.

The file draws the same bits, makes the same call, holds it against the definition in float64 and ends
with exit status 1 while the trial's outcome is there and 0 once it is gone.
"""

from __future__ import annotations

from attnprobe.core.outcome import Refused
from attnprobe.core.report import Report
from attnprobe.core.trial import Record
from attnprobe.errors import UsageError
from attnprobe.repro import calls, ring, training
from attnprobe.repro.ending import ending
from attnprobe.repro.find import find
from attnprobe.repro.frame import script
from attnprobe.repro.question import ask
from attnprobe.repro.told import tell, wrong

__all__ = ["find", "write", "wrong"]


def write(record: Record, report: Report, shrunk: str = "") -> str:
    """The source of the script.

    Args:
        record: What became of the trial.
        report: The session, redacted.
        shrunk: How the case was made smaller, or why it was not.

    Raises:
        UsageError: There is no call that could be written down, or its experiment has no short form.
    """
    outcome = record.outcome
    if record.trial.case.module:
        raise UsageError(
            f"no script is written of a whole layer ({record.trial.case.module})",
            why="a script makes one attention call; this trial is of projections and attention",
            fix="check the attention call within it: the same case without `module:`",
        )
    if isinstance(outcome, Refused) and outcome.by == "attnprobe":
        raise UsageError(
            f"there is no call of {record.trial.backend} to write down",
            why="attnprobe knows no way to say this case to it: " + "; ".join(outcome.reasons),
        )
    case = record.trial.case
    match record.trial.question:
        case "ring":
            call, question = ring.ask(record)
        case "training":
            call, question = training.ask(record)
        case _:
            call, question = calls.write(case, record.trial.backend), ask(record)
    told = tell(record, report, call.package, shrunk)
    return script(case, call, told, question, ending(record))
