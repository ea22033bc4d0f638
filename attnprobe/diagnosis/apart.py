"""A session without the trials that only `diagnose` asked: its arms are wrong or slow on purpose."""

from __future__ import annotations

from dataclasses import replace

from attnprobe.core.report import Report
from attnprobe.core.trial import Record
from attnprobe.device import habits
from attnprobe.diagnosis.questions import SAMPLING, trials

_TIMED = ("time", "compare")


def apart(report: Report) -> Report:
    """What the other views are made of, where one session holds everything.

    Args:
        report: The whole session.
    """
    if not report.subjects:
        return report
    asked = {trial.id for suspicion in report.suspicions for trial in trials(suspicion)}

    def kept(record: Record) -> bool:
        trial = record.trial
        if habits.is_side(trial.backend) or trial.id in asked:
            return False
        return trial.question not in _TIMED or trial.sampling.target_ci != SAMPLING.target_ci

    return replace(report, records=tuple(filter(kept, report.records)))
