"""Five hundred cases are comfortable: kept as they come, gone on with, read and shown within seconds."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from attnprobe import session
from attnprobe.core.outcome import Outcome
from attnprobe.core.trial import Record, Trial
from attnprobe.errors import Interrupted
from attnprobe.profiling import questions, sweep
from attnprobe.profiling.contestants import Contestants
from attnprobe.report import compose, json_view, markdown, terminal
from attnprobe.session.lines import Header
from tests.fakes import FakeWorker
from tests.profiling.cases import measured, workload

WHO = Contestants(("eager", "sdpa-default", "sdpa-math"))
AXES = sweep.axes(["M=512..4096+128", "B=1..18+1"])


def answer(trial: Trial) -> Outcome:
    case = trial.case
    slower = 1 + WHO.backends.index(trial.backend)
    return measured(1e-9 * slower * case.B * case.Mq * case.Mkv, peak=case.B * case.Mq)


def run(path: Path, worker: FakeWorker, progress: session.Progress | None = None) -> int:
    """The whole run into that file; how many trials there are in all."""
    calls = sweep.spread(workload(), AXES).workload.calls
    mode = "resume" if path.exists() else "new"
    with session.Journal(Header("profile"), path, mode) as journal:
        found = session.run(
            questions.timings(calls, WHO),
            worker,
            journal,
            progress,
            follow_up=questions.Further(calls, WHO),
        )
        journal.end()
    return len(found)


def test_five_hundred_cases(tmp_path: Path) -> None:
    """Interrupted half way and resumed, nothing is asked twice; every view is there in seconds."""
    path, first, second = tmp_path / "session.jsonl", FakeWorker(answer), FakeWorker(answer)

    def interrupt(done: int, total: int, record: Record, left_s: float) -> None:
        assert left_s >= 0
        if done == 1000:
            raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(Interrupted):
        run(path, first, interrupt)
    total = run(path, second)
    assert total == 522 * 5  # three timings and two comparisons each
    asked = [trial.id for trial in (*first.asked, *second.asked)]
    assert len(asked) == len(set(asked)) == total
    report = session.load(path)
    assert report.complete
    document = compose.profile(report)
    shown = terminal.text(document)
    assert shown.count("\n") < 1500
    assert "further sweeps" in shown
    assert len(markdown.render(document).encode()) <= markdown.LIMIT
    assert len(json_view.profile(report)["trials"]) == 522 * 3
    assert time.monotonic() - began < 60
