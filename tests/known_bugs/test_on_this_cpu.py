"""The bugs of CPU kernels, run for real: answers that torch 2.13.0 was seen to give."""

from __future__ import annotations

import pytest
import torch

from attnprobe import known_bugs
from attnprobe.core.trial import Record
from attnprobe.device.answer import answer

HERE = {
    "cpu-flash-backward": "no",
    "cpu-flash-overread": "yes",
    "flex-jagged": "no",
    "mha-fast-path-empty-rows": "yes",
    "mha-weights-empty-rows": "yes",
    "sdpa-empty-rows": "no",
}


@pytest.mark.skipif(not torch.__version__.startswith("2.13."), reason="seen on torch 2.13")
@pytest.mark.parametrize("name", HERE)
def test_bug(name: str) -> None:
    """Trials are answered in this process as in a child."""
    bug = known_bugs.load(name)
    records = [Record(trial, answer(trial, lambda phase: None)) for trial in bug.trials]
    assert bug.judge(records).affected == HERE[name]


def test_every_bug_of_a_cpu_kernel_is_in_the_table() -> None:
    """A new one must be seen to be answered."""
    of_cpu = {n for n in known_bugs.names() if known_bugs.load(n).suspects[0].case.device == "cpu"}
    assert of_cpu == set(HERE)
