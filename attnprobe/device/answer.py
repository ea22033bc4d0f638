"""One trial in the child: inputs, preparation, launch, gradients, verdict, and time where asked for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, Outcome, Refused
from attnprobe.core.parity import Parity
from attnprobe.core.timing import Timing, Versus
from attnprobe.core.trial import Trial
from attnprobe.device import backends, fits, habits, laboratory, remembered, room, settings
from attnprobe.device.backends._claim import failed
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.explainer import explain
from attnprobe.device.inputs import Inputs, Outputs
from attnprobe.device.measure import measure, observe, short, turn, unexpected, versus
from attnprobe.device.measure.cold import Prepare
from attnprobe.device.modules import answer as layers
from attnprobe.device.numerics.conventions import SPOILT, judge_under, spoils
from attnprobe.device.subject import Declined, Malformed, Subject
from attnprobe.device.training import parity as training

SIZE = re.compile(r"[\d.]+ ([KMG]i)?B")


def answer(trial: Trial, announce: Callable[[str], None]) -> Outcome:
    """What became of the trial; whatever is raised is for the caller to judge by the phase.

    Args:
        trial: What is asked.
        announce: Called with the name of every phase that begins: prepare, forward, backward,
            reference, verify, weigh, time, rival, training, demonstrate; or the experiment's name.
    """
    if trial.case.problems:
        return Refused("attnprobe", trial.case.problems)
    with settings.kept():
        return _answer(trial, announce)


def _answer(trial: Trial, announce: Callable[[str], None]) -> Outcome:
    case = trial.case
    announce("prepare")
    if case.module:
        return layers.answer(trial, announce)
    if trial.question == "demonstrate":
        announce("demonstrate")
        return Measured("", values=habits.demonstrate(trial.backend, remembered.inputs(case)))
    backend = backends.load(trial.backend)
    refused = _unavailable(backend)
    if refused is None and trial.question != "fits":
        refused = _too_large(case, backend)
    if refused:
        return refused
    try:
        if trial.question == "fits":
            return fits.answer(backend, case, announce)
        subject = Subject(backend, remembered.inputs(case), announce)
        prepared = subject.prepare()
        if trial.question == "training":
            announce("training")
            return training.answer(subject, prepared.form)
        if trial.question == "turn":
            with prepared.around():
                return _turn(trial, subject, prepared)
        if trial.question not in laboratory.names():
            with prepared.around():
                found = _compare(trial, subject, prepared)
            # outside: in the context of one backend torch's own choice would be that backend
            if not trial.rival:
                return found
            return replace(found, versus=_versus(trial, subject, prepared, found))
        return _examine(trial.question, subject, prepared.form)
    except Declined as declined:
        return declined.refused


def _compare(trial: Trial, subject: Subject, prepared: Prepared) -> Measured:
    """Held against the reference; to be called inside `prepared.around()`."""
    subject.announce("forward")
    try:
        launched = subject.launch(prepared, remembered.judged(trial.case))
    except Malformed as wrong:
        return Measured(prepared.form, Parity("fail", subject.contract, failures=(wrong.failure,)))
    subject.announce("reference")
    remembered.truth(trial.case)
    subject.announce("verify")
    parity = _verdict(subject, prepared, launched.outputs)
    if trial.question != "verdict":
        parity = _explained(parity, launched.outputs, subject, trial.backend)
    seen, foreign = _kernels(subject.backend, prepared, trial)
    timing = None
    if trial.question == "time":
        timing = _timing(trial, subject, prepared, parity, launched.first_call_s)
    return Measured(prepared.form, parity, timing, seen, foreign)


def _explained(parity: Parity, outputs: Outputs, subject: Subject, backend: str) -> Parity:
    """Why it failed, found out where the reference is: each hypothesis is held against one."""
    truth, device = subject.truth, subject.case.device
    there = subject.inputs.to(str(truth.device))

    def run(inputs: Inputs) -> Outputs:
        return subject.run(inputs.to(device)).to(truth.device)

    given = outputs.to(truth.device)
    return explain(parity, given, there, truth, run, backend)


def _versus(trial: Trial, subject: Subject, prepared: Prepared, found: Measured) -> Versus:
    """How the backend compares with its rival: only where both are right."""
    if found.parity is not None and found.parity.verdict == "fail":
        return Versus(trial.rival, withheld=("fwd: the result is wrong",))
    subject.announce("rival")
    other = Subject(backends.load(trial.rival), subject.inputs)
    why = _unavailable(other.backend)
    if why is not None:
        return _withheld(trial, "; ".join(why.reasons))
    try:
        theirs = other.prepare()
        with theirs.around():
            launched = other.launch(theirs, remembered.judged(trial.case))
            judged = _verdict(other, theirs, launched.outputs)
    except Declined as declined:
        return _withheld(trial, f"refused: {'; '.join(declined.refused.reasons)}")
    except Malformed as wrong:
        return _withheld(trial, wrong.failure.message)
    if judged.verdict == "fail":
        return _withheld(trial, "its result is wrong")
    subject.announce("time")
    prepares = (_copying(subject.backend), _copying(other.backend))
    return versus(prepared, theirs, trial.rival, subject.inputs, trial.sampling, prepares)


def _withheld(trial: Trial, why: str) -> Versus:
    return Versus(trial.rival, withheld=(f"{trial.rival}: {why}",))


def _copying(backend: Backend) -> Prepare[Inputs] | None:
    """How copies of the inputs are prepared; None where each would have to be compiled for anew."""
    return None if backend.compiles else backend.prepare


def _turn(trial: Trial, subject: Subject, prepared: Prepared) -> Measured:
    """One of many short timings of a case that has been judged before."""
    subject.announce("forward")
    copying = _copying(subject.backend)
    timing = turn(prepared, subject.inputs, trial.sampling, copying, subject.announce)
    return Measured(prepared.form, timing=timing)


def _examine(name: str, subject: Subject, form: str) -> Measured:
    """What an experiment of the laboratory finds."""
    convention = subject.backend.empty_rows
    # The reference only where it decides: an experiment on a case of 2^31 elements needs none.
    if convention in SPOILT and spoils(convention, remembered.truth(subject.case)):
        return Measured(form, Parity("none", subject.contract, unsaid=SPOILT[convention]))
    subject.announce(name)
    try:
        found = laboratory.load(name)(replace(subject, announce=lambda phase: None))
    except Malformed as wrong:
        found = (wrong.failure,)
    if isinstance(found, laboratory.Skipped):
        return Measured(form, Parity("none", subject.contract, unsaid=found.reason))
    return Measured(form, Parity("fail" if found else "pass", subject.contract, failures=found))


def _unavailable(backend: Backend) -> Refused | None:
    try:
        backend.available()
    except Exception as error:  # noqa: BLE001 - a probe's boundary: a broken import raises anything
        claim = failed(backend, error)
        return Refused("absent" if claim.absent else "broken", (claim.error,))
    return None


def _too_large(case: Case, backend: Backend) -> Refused | None:
    lacking = room.lacking(case, backend.materialises)
    if lacking:
        remembered.forget()
        lacking = room.lacking(case, backend.materialises)
    return Refused("memory", lacking) if lacking else None


def _verdict(subject: Subject, prepared: Prepared, outputs: Outputs) -> Parity:
    truth = remembered.truth(subject.case)
    convention = subject.backend.empty_rows
    given = remembered.judged(subject.case)
    parity = judge_under(convention, outputs, given, truth, subject.contract)
    if truth.index is not None:
        parity = replace(parity, queries=len(truth.index))
    complaints = prepared.complaints()
    if not complaints:
        return parity
    return replace(parity, verdict="fail", failures=parity.failures + complaints)


kernels_seen: set[tuple[str, str, str, str]] = set()
"""Backend, device, dtype and form of mask whose kernels this child has looked at."""


def _kernels(backend: Backend, prepared: Prepared, trial: Trial) -> tuple[tuple[str, ...], str]:
    """What the profiler saw, and why that is another backend's work.

    Looked at when time was asked for, and else once per backend, device, dtype and kind of mask: a
    profile costs more than a small trial.
    """
    if trial.question in ("compare", "verdict"):
        return (), ""  # another trial of the same backend has looked
    key = (trial.backend, trial.case.device, trial.case.dtype, SIZE.sub("", prepared.form))
    if trial.question != "time" and key in kernels_seen:
        return (), ""
    kernels_seen.add(key)
    seen = observe(prepared.launch, trial.case.device)
    return short(seen), unexpected(seen, backend.kernels)


def _timing(
    trial: Trial, subject: Subject, prepared: Prepared, parity: Parity, first_call_s: float
) -> Timing:
    if parity.verdict == "fail":
        kinds = ", ".join(dict.fromkeys(f.kind for f in parity.failures))
        return Timing(withheld=(f"not timed: the result is wrong ({kinds or 'accuracy'})",))
    return measure(
        prepared,
        subject.inputs,
        trial.sampling,
        prepare=_copying(subject.backend),
        first_call_s=first_call_s,
        announce=subject.announce,
    )
