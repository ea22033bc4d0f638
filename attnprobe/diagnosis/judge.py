"""One judge for all rules: confirmed, refuted or inconclusive, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping

from attnprobe.core import units
from attnprobe.core.diagnosis import (
    SEVERITIES,
    Effect,
    Experiment,
    Finding,
    Prediction,
    Quantity,
    Remedy,
    Suspicion,
    Verdict,
)
from attnprobe.core.report import Report
from attnprobe.core.trial import Record
from attnprobe.diagnosis.answers import Answers, answers, in_turns
from attnprobe.diagnosis.effects import effect

TIMES = ("time", "wall", "time-per-sequence")

UNRUN = "its experiment was not run"

_ORDER: tuple[Verdict, ...] = ("confirmed", "inconclusive", "refuted", "would_test")


def findings(report: Report) -> tuple[Finding, ...]:
    """Every suspicion of a session, judged: wrong results first, then the largest savings."""
    records = {record.trial.id: record for record in report.records}
    return tuple(sorted((judge(s, records) for s in report.suspicions), key=_rank))


def judge(suspicion: Suspicion, records: Mapping[str, Record]) -> Finding:
    """What the trials say of one suspicion.

    The prediction was fixed before they ran. Its lower end decides: an interval above it confirms, one
    below refutes, one across it does neither. An effect beyond the upper end is confirmed too, because
    it harms no less; that more was seen than expected is said.

    Args:
        suspicion: With prediction and experiment.
        records: Of any trials, by id; those of this experiment are picked.
    """
    experiment, prediction = suspicion.experiment, suspicion.prediction
    if experiment is None or prediction is None:
        return Finding(suspicion, "would_test", suspicion.untestable)
    treatment, control = (
        answers(arm, records) for arm in (experiment.treatment, experiment.control)
    )
    ids = _ids(experiment, records)
    if not treatment.outcomes and not control.outcomes:
        return Finding(suspicion, "would_test", UNRUN)
    seen = effect(prediction, treatment, control, in_turns(treatment.arm, control.arm, records))
    if isinstance(seen, str):
        return Finding(suspicion, "inconclusive", seen, trials=ids)
    verdict, reason = _decide(prediction, seen)
    fix = control if experiment.remedy is None else answers(experiment.remedy, records)
    confirmed = verdict == "confirmed"
    return Finding(
        suspicion,
        verdict,
        reason,
        seen,
        _saved_s(suspicion, "wall", treatment, fix) if confirmed else None,
        _saved_s(suspicion, "time", treatment, fix) if confirmed else None,
        _saved_bytes(treatment, fix) if confirmed else None,
        _remedy(prediction, treatment, fix),
        ids,
    )


def _decide(prediction: Prediction, seen: Effect) -> tuple[Verdict, str]:
    if prediction.quantity in ("wrong", "refused", "kernel"):
        return ("confirmed" if seen.median == 1 else "refuted"), seen.words
    if prediction.quantity == "value":
        inside = prediction.low <= seen.median <= prediction.high
        said = f"{prediction.of} is {seen.median:.3g}, predicted {span(prediction)}"
        return ("confirmed" if inside else "refuted"), said
    if math.isinf(seen.low):
        return "confirmed", seen.words
    if seen.low >= prediction.low:
        more = " (more than predicted)" if seen.low > prediction.high else ""
        return "confirmed", f"{times(seen)}, predicted {span(prediction)}{more}"
    if seen.high < prediction.low:
        return "refuted", f"{times(seen)}, predicted {span(prediction)}"
    return "inconclusive", f"{times(seen)} lies across the predicted {span(prediction)}"


def times(seen: Effect) -> str:
    """`15.4x [15.1, 15.6]`."""
    interval = "" if seen.low == seen.high else f" [{seen.low:.3g}, {seen.high:.3g}]"
    return f"{seen.median:.3g}x{interval}"


def span(prediction: Prediction) -> str:
    """`5-20x`; of a value without the x."""
    unit = "" if prediction.quantity == "value" else "x"
    if prediction.low == prediction.high:
        return f"{prediction.low:.3g}{unit}"
    return f"{prediction.low:.3g}-{prediction.high:.3g}{unit}"


def _ids(experiment: Experiment, records: Mapping[str, Record]) -> tuple[str, ...]:
    arms = {experiment.treatment, experiment.control, experiment.fix}
    known = {(arm.case, arm.backend) for arm in arms}
    return tuple(i for i, r in records.items() if (r.trial.case, r.trial.backend) in known)


def _saved_s(
    suspicion: Suspicion, quantity: Quantity, treatment: Answers, fix: Answers
) -> float | None:
    """In one step, of as many sequences as the user's call has: arms may differ in their batch."""
    there, here = treatment.clocked(quantity), fix.clocked(quantity)
    if there is None or here is None:
        return None
    batches = treatment.arm.case.B / fix.arm.case.B
    return (there.median - here.median * batches) * suspicion.subject.calls_per_step


def _saved_bytes(treatment: Answers, fix: Answers) -> int | None:
    there, here = treatment.peak, fix.peak
    return None if there is None or here is None else there - here


def _remedy(prediction: Prediction, treatment: Answers, fix: Answers) -> Remedy:
    """Whether the fix was seen to be one: it runs, is right, and is better in what was predicted."""
    if not fix.outcomes:
        return Remedy(None, "not run")
    if fix.trouble:
        return Remedy(False, fix.trouble)
    if fix.wrong:
        return Remedy(False, f"its result is wrong: {fix.wrong}")
    right = "right" if fix.parity is not None and fix.parity.verdict == "pass" else "runs"
    quantity = prediction.quantity
    before, after = treatment.clocked(quantity), fix.clocked(quantity)
    if quantity in TIMES and before is not None and after is not None:
        better = after.high < before.low
        took = f"{units.seconds(before.median)} -> {units.seconds(after.median)}"
        took += " per sequence" if quantity == "time-per-sequence" else ""
        return Remedy(better, f"{right}, {took}" if better else f"no faster here: {took}")
    if prediction.quantity == "memory" and treatment.peak is not None and fix.peak is not None:
        took = f"{units.size(treatment.peak)} -> {units.size(fix.peak)}"
        better = fix.peak < treatment.peak
        return Remedy(better, f"{right}, {took}" if better else f"no smaller here: {took}")
    return Remedy(True, right)


def _rank(finding: Finding) -> tuple[int, bool, float, float, float, int]:
    prediction = finding.suspicion.prediction
    wrong = prediction is not None and prediction.quantity in ("wrong", "value")
    return (
        _ORDER.index(finding.verdict),
        not wrong,
        -(finding.saves_s or 0.0),
        -(finding.saves_gpu_s or 0.0),
        -(finding.saves_bytes or 0),
        SEVERITIES.index(finding.suspicion.severity),
    )
