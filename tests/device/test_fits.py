"""The question `fits`: runs without a reference, past every estimate, in a child of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("torch")

from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, OutOfMemory, Refused
from attnprobe.core.score import Bias, Score
from attnprobe.core.timing import Timing
from attnprobe.core.trial import Record, Trial
from attnprobe.worker.host import Worker

CASE = Case(1, 4, 4, 512, 512, 64, 64, dtype="float32")
MIB = 2**20


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """A machine that has a gigabyte left."""
    with Worker(memory_limit_bytes=2**30) as made:
        yield made


def fits(worker: Worker, case: Case, backend: str = "eager") -> Record:
    return worker.trial(Trial(case, backend, "fits"), 60.0)


def weighed(record: Record) -> Timing:
    assert isinstance(record.outcome, Measured), record.outcome
    assert record.outcome.timing is not None
    return record.outcome.timing


def test_memory_is_measured_and_nothing_else(worker: Worker) -> None:
    """Score matrices of 4 MiB show; no time, no verdict."""
    record = fits(worker, CASE)
    timing = weighed(record)
    assert timing.peak_bytes is not None
    assert 12 * MIB < timing.peak_bytes < 20 * MIB
    assert timing.floor_bytes is not None
    assert timing.peak_bytes > timing.floor_bytes
    assert timing.fwd_s is None
    assert isinstance(record.outcome, Measured)
    assert record.outcome.parity is None


def test_a_fused_kernel_needs_less(worker: Worker) -> None:
    """The same case without score matrices."""
    timing = weighed(fits(worker, CASE, "sdpa-flash"))
    assert timing.peak_bytes is not None
    assert timing.peak_bytes < 4 * MIB


def test_each_is_asked_of_a_fresh_child(worker: Worker) -> None:
    """What an earlier trial left in the heap would be reused unseen."""
    worker.trial(Trial(CASE.edit(Mq=16, Mkv=16), "eager", "check"), 60.0)
    assert fits(worker, CASE).trials_before == 0
    again = worker.trial(Trial(CASE.edit(Mq=16, Mkv=16), "sdpa-math", "check"), 60.0)
    assert again.trials_before == 1  # the child that checks has stayed, with its references


def test_too_long_is_out_of_memory_and_no_refusal(worker: Worker) -> None:
    """The estimate is not asked: the allocator is. No machine has the 64 GiB of one score matrix."""
    outcome = fits(worker, CASE.edit(Mq=2**17, Mkv=2**17, K=8, Kv=8)).outcome
    assert isinstance(outcome, OutOfMemory)


def test_a_refusal_stays_one(worker: Worker) -> None:
    """With the library's own reasons."""
    assert isinstance(fits(worker, CASE, "varlen").outcome, Refused)


@pytest.mark.parametrize(
    "case",
    [
        CASE.edit(passes="fwd"),
        CASE.edit(layout="packed-qkv"),
        CASE.edit(score=Score(bias=Bias(requires_grad=True))),
        CASE.edit(score=Score(bias=Bias(forbids=True)), mask_form="dense-bool"),
        CASE.edit(Hkv=1, dtype="bfloat16"),
    ],
    ids=["forward", "packed", "bias", "mask", "grouped"],
)
def test_its_own_inputs_are_inputs(worker: Worker, case: Case) -> None:
    """Drawn one by one in the case's dtype, they are taken like any others."""
    assert weighed(fits(worker, case, "sdpa-math")).peak_bytes
