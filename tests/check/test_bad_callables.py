"""Whatever a user's callable does is named, and the callable after it is judged as ever."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from attnprobe import masks
from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, Outcome
from attnprobe.core.trial import Trial
from attnprobe.worker.host import Worker

BAD = Path(__file__).with_name("bad")

CASE = Case(
    B=1, Hq=2, Hkv=2, Mq=24, Mkv=24, K=16, Kv=16, dtype="float32",
    mask=masks.parse("sliding-window(left=7, right=0, align=top-left)"),
)  # fmt: skip

WRONG = {
    "returns.py:a_row_short": "shape",
    "returns.py:heads_last": "shape",
    "returns.py:float64": "dtype",
    "returns.py:on_meta": "device",
    "returns.py:a_tuple": "type",
    "returns.py:nothing": "type",
    "returns.py:numpy_array": "type",
    "returns.py:its_value": "gradient_missing",
    "returns.py:detached": "gradient_missing",
    "returns.py:value_without_gradient": "gradient_missing",
    "returns.py:sparse": "type",
    "returns.py:complex_numbers": "dtype",
    "returns.py:integers": "dtype",
    "returns.py:sparse_gradient": "type",
    "writes.py:query": "inplace",
    "writes.py:mask": "inplace",
    "writes.py:cotangent": "inplace",
    "writes.py:default_dtype": "global_state",
    "writes.py:default_device": "global_state",
    "writes.py:determinism": "global_state",
    "writes.py:seed": "global_state",
    "writes.py:gradients_off": "global_state",
    "writes.py:autocast": "global_state",
    "writes.py:an_operation_mode": "global_state",
    "writes.py:anomaly_detection": "global_state",
    "writes.py:directory": "global_state",
    "writes.py:torchs_own_attention": "global_state",
    "writes.py:a_method_of_tensors": "global_state",
}
"""What is measured and wrong: the kind of failure."""

ENDS = {
    "ends.py:hangs": ("timed_out", "forward"),
    "ends.py:hangs_in_backward": ("timed_out", "backward"),
    "ends.py:raises_in_backward": ("raised", "backward"),
    "ends.py:segfaults": ("crashed", "forward"),
    "ends.py:segfaults_in_backward": ("crashed", "backward"),
    "ends.py:aborts": ("crashed", "forward"),
    "ends.py:exits": ("crashed", "forward"),
    "ends.py:closes_everything": ("crashed", "forward"),
    "ends.py:leaves": ("raised", "forward"),
    "ends.py:interrupts": ("raised", "forward"),
    "ends.py:recurses": ("raised", "forward"),
    "ends.py:only_three": ("raised", "forward"),
    "ends.py:no_arguments": ("raised", "forward"),
    "ends.py:exhausts": ("out_of_memory", "forward"),
    "ends.py:only_short": ("refused", ""),
}
"""What is no measurement: the outcome, and the phase it happened in."""

HARMLESS = (
    "ends.py:forks",
    "ends.py:spawns",
    "ends.py:shouts",
    "returns.py:not_contiguous",
    "writes.py:threads",
)
"""Strange, and right."""


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """A child that may take four gibibytes more than it has."""
    with Worker(memory_limit_bytes=4 * 2**30) as worker:
        yield worker


def outcome(worker: Worker, name: str, question: str = "check") -> Outcome:
    """Of one trial; a hang is given a second."""
    deadline = 1.0 if "hangs" in name else 20.0
    return worker.trial(Trial(CASE, f"{BAD}/{name}", question), deadline).outcome


def kinds(found: Outcome) -> set[str]:
    """Of the failures of something measured; no failure is no kind."""
    assert isinstance(found, Measured), found
    assert found.parity is not None
    assert found.parity.verdict == ("fail" if found.parity.failures else "pass")
    return {failure.kind for failure in found.parity.failures}


@pytest.fixture(autouse=True)
def the_next_is_judged_as_ever(worker: Worker) -> Iterator[None]:
    """After whatever happened, a right callable passes in the same worker."""
    yield
    assert kinds(outcome(worker, "returns.py:not_contiguous")) == set()


@pytest.mark.parametrize("name", WRONG)
def test_what_is_returned_or_changed_is_a_failure_of_its_own_kind(worker: Worker, name: str):
    """And no other, except that wrong numbers follow from some."""
    found = kinds(outcome(worker, name))
    assert WRONG[name] in found
    assert found <= {WRONG[name], "leak", "accuracy"}


@pytest.mark.parametrize("name", ENDS)
def test_what_does_not_come_back_is_an_outcome_with_its_phase(worker: Worker, name: str):
    """Crashed, timed out, raised, out of memory or refused."""
    found = outcome(worker, name)
    assert (found.kind, getattr(found, "phase", "")) == ENDS[name], found


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_strange_but_right_passes(worker: Worker, name: str):
    """Printing, forking, threads and strides are nobody's mistake."""
    assert kinds(outcome(worker, name)) == set()


def test_memory_that_is_never_given_back_is_charged_to_no_later_call(worker: Worker):
    """The call that finds none left is tried again in a fresh child; both attempts are recorded."""
    trial = Trial(CASE, f"{BAD}/ends.py:leaks")
    records = [worker.trial(trial, 20.0) for _ in range(6)]
    assert {record.outcome.kind for record in records} == {"measured"}
    firsts = [record.first_outcome for record in records if record.first_outcome]
    assert {first.kind for first in firsts} == {"out_of_memory"}


@pytest.mark.parametrize("name", ["returns.py:one_buffer", "returns.py:its_value"])
def test_an_output_that_is_not_the_callers_own_is_an_alias(worker: Worker, name: str):
    """The same buffer at each call, or an input's memory: the next write changes a result."""
    assert kinds(outcome(worker, name, "inplace")) == {"alias"}
