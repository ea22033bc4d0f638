"""On a GPU: asynchronous errors reach the trial that caused them, and the next trial is unharmed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from attnprobe.core.outcome import Measured, OutOfMemory, Raised
from attnprobe.worker.host import Worker
from tests.worker.conftest import trial

ENTRY = f"{Path(__file__).with_name('cuda_deeds.py')}:answer"

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker(entry=ENTRY) as worker:
        yield worker


def test_the_server_has_not_touched_cuda(worker: Worker) -> None:
    """A fork that uses CUDA works only then."""
    assert not worker.interpreter.cuda_touched
    assert worker.trial(trial("fine"), 60.0).outcome == Measured("4.0")


def test_an_asynchronous_assert_is_charged_to_its_trial(worker: Worker) -> None:
    """The launch itself succeeds; the trial ends as sticky, and the next one in a fresh child."""
    worker.trial(trial("fine"), 60.0)
    found = worker.trial(trial("assert"), 60.0)
    assert isinstance(found.outcome, Raised)
    assert found.outcome.sticky
    after = worker.trial(trial("fine"), 60.0)
    assert (after.outcome, after.trials_before, after.first_outcome) == (Measured("4.0"), 0, None)


def test_running_out_of_device_memory_costs_no_other_trial(worker: Worker) -> None:
    """Tried again in a fresh child it is still out of memory; what it held is free for the next."""
    worker.trial(trial("fine"), 60.0)
    found = worker.trial(trial("exhaust"), 60.0)
    assert isinstance(found.outcome, OutOfMemory)
    after = worker.trial(trial("half"), 60.0)
    assert after.outcome == Measured("held")
