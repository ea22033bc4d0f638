"""200 trials of real users' functions, of which 50 kill, hang or exhaust their child."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured
from attnprobe.core.trial import Trial
from attnprobe.session import Journal, load, run
from attnprobe.session.lines import Header
from attnprobe.worker.host import Worker

FILE = Path(__file__).with_name("callables.py")

RUINOUS = {
    "segfault": (14, "crashed"),
    "abort": (10, "crashed"),
    "leave": (8, "crashed"),
    "quit": (6, "raised"),
    "hang": (2, "timed_out"),
    "exhaust": (10, "out_of_memory"),
}
HARMLESS = {
    "right": (120, "measured"),
    "chatter": (10, "measured"),
    "nothing": (6, "measured"),
    "fail": (7, "raised"),
    "refuse": (7, "refused"),
}


@pytest.mark.slow
def test_every_trial_has_a_record_of_the_right_kind(tmp_path: Path) -> None:
    """In memory and in the file; and the right function is right in whatever company it runs."""
    counts = {**RUINOUS, **HARMLESS}
    assert sum(count for count, _ in RUINOUS.values()) == 50
    names = [name for name, (count, _) in counts.items() for _ in range(count)]
    random.Random(1).shuffle(names)
    trials = [
        Trial(Case(1, 2, 2, 8, 8, 8, 8, "float32", passes="fwd", seed=seed), f"{FILE}:{name}")
        for seed, name in enumerate(names)
    ]
    with (
        Worker(memory_limit_bytes=4 * 2**30) as worker,
        Journal(Header(), tmp_path / "s.jsonl") as journal,
    ):
        run(trials, worker, journal, deadline_s=4.0)
        journal.end()
    records = load(tmp_path / "s.jsonl").records
    assert len(records) == len(trials) == 200
    wrong = []
    for record in records:
        name = record.trial.backend.rpartition(":")[2]
        if record.outcome.kind != counts[name][1]:
            wrong.append((name, record.outcome))
        elif name == "right":
            assert isinstance(record.outcome, Measured)
            assert record.outcome.parity is not None
            assert record.outcome.parity.verdict == "pass"
    assert wrong == []
