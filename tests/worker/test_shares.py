"""Children that work side by side come from one server and keep to their share of the cores."""

from __future__ import annotations

import pytest

from attnprobe.probe.system import cores
from attnprobe.worker.host import Answer, Worker


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_child_beside_others_keeps_to_its_share(start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its torch has so many threads; the child that works alone has them all."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with Worker(start=start) as alone, alone.beside(1) as shared:
        assert _threads(shared) == 1
        assert _threads(alone) != 1 or cores() == 1


def test_what_the_user_says_of_threads_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """OMP_NUM_THREADS is theirs."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with Worker() as alone, alone.beside(1) as shared:
        assert _threads(shared) == 2


def _threads(worker: Worker) -> int:
    answer = worker.ask({"do": "facts"}, 60.0)
    assert isinstance(answer, Answer)
    return int(answer.data["torch"]["threads"])
