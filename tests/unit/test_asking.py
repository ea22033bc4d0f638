"""Trials asked of one worker in turn and of several side by side."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest

from attnprobe import plan, session
from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, Outcome, Refused
from attnprobe.core.trial import Trial
from attnprobe.errors import Interrupted
from attnprobe.session.lines import Header
from tests.fakes import FakeWorker

CASES = [Case(1, 1, 1, 1, keys, 8, 8) for keys in range(1, 13)]
TRIALS = [Trial(case, backend) for case in CASES for backend in ("eager", "flex")]


def measured(trial: Trial) -> Outcome:
    return Measured("no mask")


def no_backward(trial: Trial) -> Outcome:
    if trial.case.wants_backward:
        return Refused("library", ("flex has no backward on CPU",))
    return Measured("no mask")


def test_every_trial_is_answered_once_by_one_of_several() -> None:
    """Four workers share the cases, and no trial is lost or asked twice."""
    crew = [FakeWorker(measured) for _ in range(4)]
    records = session.run(TRIALS, crew, session.Journal(Header("check")))
    assert [r.trial for r in records] == TRIALS
    assert Counter(t.id for w in crew for t in w.asked) == Counter(t.id for t in TRIALS)


def test_a_case_stays_with_one_worker() -> None:
    """The child keeps the reference of its case, so the case's trials follow each other there."""
    crew = [FakeWorker(measured) for _ in range(3)]
    session.run(TRIALS, crew, session.Journal(Header("check")))
    for worker in crew:
        cases = [t.case.id for t in worker.asked]
        assert cases[0::2] == cases[1::2]


def test_what_a_worker_raises_reaches_the_caller() -> None:
    """A bug in one thread is no silent loss."""

    def broken(trial: Trial) -> Outcome:
        raise RuntimeError("planted")

    crew = [FakeWorker(broken), FakeWorker(broken)]
    with pytest.raises(RuntimeError, match="planted"):
        session.run(TRIALS, crew, session.Journal(Header("check")))


def test_an_interrupt_ends_what_is_in_flight_and_keeps_the_rest() -> None:
    """Workers that hang are abandoned; the records before the interrupt stay."""
    released = threading.Event()

    class Hangs(FakeWorker):
        def abandon(self) -> None:
            released.set()

    def hang(trial: Trial) -> Outcome:
        released.wait(30.0)
        return Measured("killed: no fact")

    def interrupt(done: int, total: int, record: object, left: float) -> None:
        if done == 4:
            raise KeyboardInterrupt

    journal = session.Journal(Header("check"))
    began = time.monotonic()
    with pytest.raises(Interrupted):
        session.run(TRIALS, [FakeWorker(measured), Hangs(hang)], journal, interrupt)
    assert time.monotonic() - began < 10.0
    assert len(journal.report.records) == 4
    assert all(r.outcome == Measured("no mask") for r in journal.report.records)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_refused_backward_is_asked_again_without_it(workers: int) -> None:
    """Flex on CPU has no backward; its forward is still checked, and both records stay."""
    crew = [FakeWorker(no_backward) for _ in range(workers)]
    journal = session.Journal(Header("check"))
    records = session.run(TRIALS, crew, journal, follow_up=plan.forward_alone)
    assert len(records) == 2 * len(TRIALS)
    assert sum(isinstance(r.outcome, Measured) for r in records) == len(TRIALS)
    assert {r.trial.case.passes for r in records} == {"fwd", "fwd+bwd"}


def test_a_resumed_run_asks_what_was_still_open() -> None:
    """A run cut between a refusal and its follow-up is completed by --resume."""
    journal = session.Journal(Header("check"))
    for record in session.run(
        TRIALS[:3], FakeWorker(no_backward), session.Journal(Header("check"))
    ):
        journal.record(record)
    worker = FakeWorker(no_backward)
    session.run(TRIALS[:3], worker, journal, follow_up=plan.forward_alone)
    assert [t.case.passes for t in worker.asked] == ["fwd"] * 3


def test_a_mask_that_is_refused_is_not_asked_again() -> None:
    """Only a refusal that is about the backward alone is worth a second question."""

    def refuse(trial: Trial) -> Outcome:
        return Refused("library", ("no backward", "no window"))

    worker = FakeWorker(refuse)
    session.run(TRIALS, worker, session.Journal(Header("check")), follow_up=plan.forward_alone)
    assert len(worker.asked) == len(TRIALS)
