"""Who else could make the call: the trials that find the fastest right backend, and what they say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from attnprobe.core.case import Case
from attnprobe.core.diagnosis import Arm, Best, Effect, Passed, Subject
from attnprobe.core.outcome import Measured
from attnprobe.core.report import Report
from attnprobe.core.trial import Record, Trial
from attnprobe.device import backends, habits
from attnprobe.diagnosis.answers import Answers, answers, in_turns, words
from attnprobe.diagnosis.effects import quotient
from attnprobe.diagnosis.questions import sampling, timing

COMPILED, DETERMINISM = "compiled-caller", "determinism"
"""Experiments of the laboratory that a need asks for."""

FIRST = (
    "sdpa-default",
    "sdpa-flash",
    "sdpa-cudnn",
    "xformers-default",
    "sdpa-mem-efficient",
    "flash-attn-*",
    "sdpa-fa*",
    "xformers-*",
    "varlen",
    "njt",
)
"""Fused kernels in the order in which they are tried; the others follow while there is time."""


def wanted(subject: Subject) -> Case:
    """The call as the model needs it, the mask said as each backend likes it."""
    case, needs = subject.case, subject.needs
    score = case.score
    if needs.bias_grad and score.bias is not None:
        score = replace(score, bias=replace(score.bias, requires_grad=True))
    dropout = max(case.dropout_p, needs.dropout)
    return case.edit(mask_form="best", score=score, dropout_p=dropout)


def today(subject: Subject) -> Arm:
    """The call as the code makes it; of its habits the first that makes calls stands for all."""
    calls = (f"written/{habit}" for habit in subject.habits if habits.is_call(habit))
    return Arm(subject.case, next(calls, subject.backend))


def waves(usable: Iterable[str]) -> tuple[list[str], list[str]]:
    """Backends that are tried first, in this order, and those that follow while there is time.

    Args:
        usable: Those that can be imported.
    """
    left = list(usable)
    first = sorted((name for name in backends.match(FIRST) if name in left), key=_place)
    return first, [name for name in left if name not in first]


def _place(name: str) -> int:
    return next(n for n, pattern in enumerate(FIRST) if name in backends.match([pattern]))


def timings(subjects: Iterable[Subject], usable: Iterable[str]) -> tuple[list[Trial], list[Trial]]:
    """Every call timed as it is and with fused kernels, and then with everybody else."""
    first, others = waves(usable)
    found = list(subjects)
    return (
        [timing(a) for s in found for a in (today(s), *(Arm(wanted(s), name) for name in first))],
        [timing(Arm(wanted(s), name)) for s in found for name in others],
    )


def further(report: Report) -> list[Trial]:
    """What the advice still needs to know: what the model needs of it, and how much faster it is."""
    records = {record.trial.id: record for record in report.records}
    found: list[Trial] = []
    for subject in report.subjects:
        advice = _best(subject, records)
        if not advice.backend:
            continue
        case, now = wanted(subject), today(subject)
        found += [Trial(case, advice.backend, question) for question in _asks(subject)]
        if now.case == case and now.backend != advice.backend and not advice.now_is:
            found.append(Trial(case, now.backend, "compare", sampling(case), advice.backend))
    return [trial for trial in found if trial.id not in records]


def best(report: Report) -> tuple[Best, ...]:
    """The advice for every call of a session."""
    records = {record.trial.id: record for record in report.records}
    return tuple(_best(subject, records) for subject in report.subjects)


def _best(subject: Subject, records: Mapping[str, Record]) -> Best:
    case = wanted(subject)
    timed = [
        found
        for name in backends.names()
        if (found := answers(Arm(case, name), records)).outcomes.get("time") is not None
    ]
    timed.sort(key=lambda a: a.duration.median if a.duration else float("inf"))
    passed: list[Passed] = []
    for found in timed:
        why = _unfit(subject, found, records)
        if not why:
            return _advice(subject, found, records, tuple(passed))
        passed.append(Passed(found.arm.backend, why))
    now = answers(today(subject), records)
    untimed = any(a.duration is None and not a.trouble and not a.wrong for a in timed)
    return Best(subject, "", now_is=now.trouble or now.wrong, passed=tuple(passed), untimed=untimed)


def _unfit(subject: Subject, found: Answers, records: Mapping[str, Record]) -> str:
    """Why a backend is not advised; empty when it may be."""
    if found.trouble:
        return found.trouble
    if found.wrong:
        return f"wrong here: {found.wrong}"
    if found.duration is None:
        return "; ".join(found.timing.withheld) if found.timing else "not timed"
    if subject.needs.lse and (found.parity is None or "lse" not in found.parity.quantities):
        return "gives no log-sum-exp here"
    for question in _asks(subject):
        record = records.get(Trial(found.arm.case, found.arm.backend, question).id)
        if record is not None and (why := _failed(record)):
            return f"{question}: {why}"
    return ""


def _failed(record: Record) -> str:
    outcome = record.outcome
    if not isinstance(outcome, Measured):
        return words(outcome)
    if outcome.parity is not None and outcome.parity.verdict == "fail":
        return next((failure.message for failure in outcome.parity.failures), "it fails")
    return ""


def _asks(subject: Subject) -> tuple[str, ...]:
    """The experiments that the needs ask for."""
    needs = subject.needs
    return ((DETERMINISM,) if needs.deterministic else ()) + ((COMPILED,) if needs.compile else ())


def _advice(
    subject: Subject, found: Answers, records: Mapping[str, Record], passed: tuple[Passed, ...]
) -> Best:
    arm, now = found.arm, answers(today(subject), records)
    assert found.duration is not None  # else it is unfit
    asked = {r.trial.question for r in records.values() if r.trial.backend == arm.backend}
    measured = found.outcomes["time"]
    peaks = None if now.peak is None or found.peak is None else now.peak - found.peak
    return Best(
        subject,
        arm.backend,
        measured.form if isinstance(measured, Measured) else "",
        now.duration.median if now.duration else None,
        found.duration.median,
        _speedup(now, found, records),
        peaks,
        now.trouble or now.wrong,
        passed,
        tuple(question for question in _asks(subject) if question not in asked),
    )


def _speedup(now: Answers, found: Answers, records: Mapping[str, Record]) -> Effect | None:
    """Now over best: from common rounds where there were any."""
    if now.arm == found.arm or now.duration is None or found.duration is None:
        return None
    ratio = in_turns(now.arm, found.arm, records)
    if ratio is not None:
        return Effect(ratio.low, ratio.median, ratio.high)
    between = quotient(now.duration, found.duration)
    return between if isinstance(between, Effect) else None
