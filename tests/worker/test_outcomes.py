"""Whatever a backend does to its process becomes the outcome of that very trial."""

from __future__ import annotations

import uuid

import pytest

from attnprobe.core.outcome import Crashed, Measured, OutOfMemory, Raised, TimedOut
from attnprobe.worker.host import Answer, Worker
from tests.worker.conftest import DEEDS, MakeEnvironment, left, trial

KINDS = {
    "segfault": "crashed",
    "abort": "crashed",
    "os._exit": "crashed",
    "kill": "crashed",
    "daemon": "crashed",
    "leave-a-fork": "crashed",
    "close": "crashed",
    "hang": "timed_out",
    "spin": "timed_out",
    "babble": "timed_out",
    "stubborn": "timed_out",
    "exhaust": "out_of_memory",
    "exhaust-torch": "out_of_memory",
    "raise": "raised",
    "interrupt": "raised",
    "unprintable": "raised",
    "sys.exit": "raised",
    "none": "raised",
    "sticky": "raised",
    "refuse": "refused",
    "print": "measured",
    "fork": "measured",
    "torch": "measured",
}


@pytest.mark.parametrize("deed", KINDS)
def test_each_deed_has_its_outcome(deed: str, worker: Worker) -> None:
    """And the child after it works, whatever happened."""
    deadline = 0.5 if KINDS[deed] == "timed_out" else 20.0
    assert worker.trial(trial(deed), deadline).outcome.kind == KINDS[deed]
    after = worker.trial(trial("ok"), 20.0)
    assert after.outcome == Measured("said")
    assert after.first_outcome is None


def test_a_crash_says_phase_signal_and_stack(fresh: Worker) -> None:
    """The certificate of a segmentation fault names the line that caused it."""
    outcome = fresh.trial(trial("segfault"), 20.0).outcome
    assert isinstance(outcome, Crashed)
    assert (outcome.phase, outcome.signal, outcome.exit_code) == ("forward", "SIGSEGV", None)
    assert "deeds.py" in outcome.stderr_tail


def test_an_exit_says_its_code(fresh: Worker) -> None:
    """os._exit(7) is an exit, not a signal."""
    outcome = fresh.trial(trial("os._exit"), 20.0).outcome
    assert isinstance(outcome, Crashed)
    assert (outcome.signal, outcome.exit_code) == ("", 7)


def test_a_hang_says_where(fresh: Worker) -> None:
    """The Python stack at the deadline is in the outcome."""
    outcome = fresh.trial(trial("hang"), 0.5).outcome
    assert isinstance(outcome, TimedOut)
    assert (outcome.phase, outcome.limit_s) == ("forward", 0.5)
    assert "deeds.py" in outcome.stack


def test_an_exception_says_type_message_and_place(fresh: Worker) -> None:
    """The trial's own frames, without those of the child that called it."""
    outcome = fresh.trial(trial("raise"), 20.0).outcome
    assert isinstance(outcome, Raised)
    assert (outcome.type, outcome.phase) == ("ValueError", "forward")
    assert "deeds.py" in outcome.where
    assert "guard.py" not in outcome.where


def test_a_crash_in_a_used_child_is_tried_again_in_a_fresh_one(fresh: Worker) -> None:
    """A victim of an earlier trial's damage is measured; both attempts are recorded."""
    fresh.trial(trial("poison"), 20.0)
    record = fresh.trial(trial("victim"), 20.0)
    assert record.outcome == Measured("said")
    assert isinstance(record.first_outcome, Crashed)
    assert record.trials_before == 0


def test_a_crash_in_a_fresh_child_is_not_tried_again(fresh: Worker) -> None:
    """There is nobody else to blame."""
    record = fresh.trial(trial("abort"), 20.0)
    assert (record.trials_before, record.first_outcome) == (0, None)


def test_memory_held_by_an_earlier_trial_is_not_charged_to_a_later_one(fresh: Worker) -> None:
    """What finds no memory in a used child is tried again in a fresh one."""
    fresh.trial(trial("ok"), 20.0)
    record = fresh.trial(trial("exhaust"), 20.0)
    assert (record.outcome.kind, record.trials_before) == ("out_of_memory", 0)
    assert isinstance(record.first_outcome, OutOfMemory)


def test_a_lost_device_retires_the_child_before_the_next_trial(fresh: Worker) -> None:
    """The next trial starts in a fresh child instead of dying with the old one."""
    fresh.trial(trial("ok"), 20.0)
    assert fresh.trial(trial("sticky"), 20.0).trials_before == 1
    after = fresh.trial(trial("ok"), 20.0)
    assert (after.outcome, after.trials_before, after.first_outcome) == (Measured("said"), 0, None)


def test_output_is_neither_an_answer_nor_a_limit(fresh: Worker) -> None:
    """Five megabytes on stdout and broken UTF-8 on stderr disturb no message, and are kept briefly."""
    assert fresh.trial(trial("print"), 20.0).outcome == Measured("said")
    crashed = fresh.trial(trial("abort"), 20.0).first_outcome
    assert isinstance(crashed, Crashed)
    assert "xxxx" not in crashed.stderr_tail


def test_the_server_has_one_thread_and_its_check_leaves_no_trace(fresh: Worker) -> None:
    """Forking is safe only from a single thread; trials see the user's environment."""
    assert fresh.trial(trial("threads"), 20.0).outcome == Measured("1")
    assert fresh.trial(trial("nvml"), 20.0).outcome == Measured("unset")
    assert not fresh.interpreter.cuda_touched


def test_a_process_of_its_own_gives_the_same_outcomes(make_environment: MakeEnvironment) -> None:
    """start="spawn" serves where forking does not."""
    python = str(make_environment("empty"))
    with Worker(python, entry=DEEDS, start="spawn", memory_limit_bytes=2**30) as worker:
        deeds = ["segfault", "exhaust", "ok", "hang"]
        found = [worker.trial(trial(deed), 3.0) for deed in deeds]
    kinds = ["crashed", "out_of_memory", "measured", "timed_out"]  # retired when out of memory
    assert [record.outcome.kind for record in found] == kinds
    assert [record.trials_before for record in found] == [
        0,
        0,
        0,
        1,
    ]


def test_what_a_trial_started_ends_with_it(make_environment: MakeEnvironment) -> None:
    """A process left behind by a child that died is killed with the child's group."""
    mark = str(uuid.uuid4())
    python = str(make_environment("empty"))
    with Worker(python, {"ATTNPROBE_TEST_MARK": mark}, entry=DEEDS) as worker:
        worker.trial(trial("daemon"), 20.0)
        worker.trial(trial("leave-a-fork"), 20.0)
        assert len(left(mark, expected=1)) == 1  # the server
    assert left(mark) == []


def test_variables_reach_the_child(worker: Worker) -> None:
    """CUDA_VISIBLE_DEVICES and the like are set when the interpreter starts."""
    assert worker.trial(trial("variable"), 20.0).outcome == Measured("yes")


def test_questions_about_the_device_are_answered(fresh: Worker) -> None:
    """The same door serves facts; torch's version is one of them."""
    answer = fresh.ask({"do": "facts"}, 60.0)
    assert isinstance(answer, Answer)
    assert answer.data["torch"]["version"] == fresh.interpreter.torch


def test_phases_add_up_and_our_share_is_small(fresh: Worker) -> None:
    """The record says what attnprobe itself cost: under 5 ms for a trial that does nothing."""
    fresh.trial(trial("ok"), 20.0)
    costs = [sum(fresh.trial(trial("ok"), 20.0).phases.values()) for _ in range(20)]
    assert sorted(costs)[10] < 5e-3
