"""Every pair is run: the pitfall is confirmed where it is, and never on the healthy twin."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from attnprobe import info, pitfalls, session
from attnprobe.core.diagnosis import Finding, Suspicion
from attnprobe.core.environment import Environment
from attnprobe.diagnosis.judge import judge
from attnprobe.diagnosis.questions import paired, trials
from attnprobe.session.journal import Journal
from attnprobe.session.lines import Header
from attnprobe.worker.host import Worker
from tests.pitfalls import pairs

ON_CPU = [name for name in pitfalls.names() if "cpu" in pairs.devices(name)]
ON_CUDA = [name for name in pitfalls.names() if "cuda" in pairs.devices(name)]
NOISE = "the interval"
"""How a time is withheld whose samples lie too far apart."""

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """One child for all pairs."""
    with Worker() as opened:
        yield opened


@pytest.fixture(scope="module")
def machine(worker: Worker) -> Environment:
    """What is here."""
    return info.collect(worker)


@pytest.mark.parametrize("name", ON_CPU)
def test_on_cpu(name: str, worker: Worker, machine: Environment) -> None:
    """Planted, it is confirmed; beside it, it is not."""
    _hold(name, "cpu", worker, machine)


@pytest.mark.gpu
@NEEDS_GPU
@pytest.mark.parametrize("name", ON_CUDA)
def test_on_cuda(name: str, worker: Worker, machine: Environment) -> None:
    """Planted, it is confirmed; beside it, it is not."""
    _hold(name, "cuda", worker, machine)


def _hold(name: str, device: str, worker: Worker, machine: Environment) -> None:
    pair = pairs.load(name)
    planted = pair.suspected("has", device, machine)
    if not planted:
        pytest.skip("this machine cannot have it")
    if planted[0].experiment is None:
        pytest.skip(planted[0].untestable)
    for suspicion in planted:
        finding = _made(suspicion, worker)
        if finding.verdict == "inconclusive" and NOISE in finding.reason:
            pytest.skip(f"this machine is too busy to be timed: {finding.reason}")
        assert finding.verdict == "confirmed", finding.reason
    for suspicion in pair.suspected("healthy", device, machine):
        assert _made(suspicion, worker).verdict != "confirmed"


def _made(suspicion: Suspicion, worker: Worker) -> Finding:
    journal = Journal(Header("diagnose"))
    session.run(trials(suspicion), worker, journal)
    session.run(paired([suspicion], journal.done), worker, journal)
    return judge(suspicion, journal.done)
