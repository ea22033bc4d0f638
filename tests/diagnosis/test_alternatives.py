"""The advice: the fastest that is right and gives what the model needs, or nobody."""

from __future__ import annotations

from dataclasses import replace

from attnprobe.core.case import Case
from attnprobe.core.diagnosis import Arm, Best, Needs, Subject
from attnprobe.core.outcome import Measured, Outcome, Raised
from attnprobe.core.parity import Failure, Parity, Quantity
from attnprobe.core.report import Report
from attnprobe.core.score import Bias, Score
from attnprobe.core.timing import Duration, Timing
from attnprobe.core.trial import Record, Trial
from attnprobe.diagnosis import best
from attnprobe.diagnosis.alternatives import further, timings, wanted, waves
from attnprobe.diagnosis.questions import timing

CASE = Case(2, 8, 8, 512, 512, 64, 64, device="cuda")
SUBJECT = Subject(CASE, "sdpa-math")
RIGHT, WRONG = (
    Parity("pass", "fused"),
    Parity("fail", "fused", failures=(Failure("accuracy", "off"),)),
)


def timed(seconds: float, parity: Parity = RIGHT) -> Measured:
    taken = Duration(seconds, seconds, seconds, 100, 10)
    return Measured("", parity, Timing(taken, taken, taken, 1.0, peak_bytes=round(seconds * 1e6)))


def report(subject: Subject, *answers: tuple[Trial, Outcome]) -> Report:
    made = tuple(Record(trial, outcome) for trial, outcome in answers)
    return Report(records=made, subjects=(subject,))


def timed_by(**seconds: float) -> list[tuple[Trial, Outcome]]:
    return [
        (timing(Arm(CASE, name.replace("_", "-"))), timed(value)) for name, value in seconds.items()
    ]


def advice(subject: Subject, *answers: tuple[Trial, Outcome]) -> Best:
    return best(report(subject, *answers))[0]


def test_the_fastest_right_one_is_advised() -> None:
    """With its speed-up over what the code calls today, and the memory."""
    found = advice(SUBJECT, *timed_by(sdpa_math=4.0, sdpa_flash=1.0, sdpa_mem_efficient=2.0))
    assert found.backend == "sdpa-flash"
    assert found.speedup is not None
    assert found.speedup.median == 4.0
    assert found.saves_bytes == 3_000_000


def test_a_wrong_one_is_passed_over_with_its_reason() -> None:
    """However fast it is."""
    fast = (timing(Arm(CASE, "sdpa-cudnn")), timed(0.1, WRONG))
    found = advice(SUBJECT, *timed_by(sdpa_math=4.0, sdpa_flash=1.0), fast)
    assert found.backend == "sdpa-flash"
    assert [(p.backend, p.why) for p in found.passed] == [("sdpa-cudnn", "wrong here: off")]


def test_who_raises_is_passed_over() -> None:
    """A crash is no advice."""
    broken = (timing(Arm(CASE, "sdpa-flash")), Raised("forward", "RuntimeError", "boom"))
    found = advice(SUBJECT, *timed_by(sdpa_math=4.0), broken)
    assert found.backend == "sdpa-math"


def test_determinism_is_asked_of_the_fastest_and_can_cost_it_the_advice() -> None:
    """First it is asked, then it is passed over, then the next is asked."""
    subject = replace(SUBJECT, needs=Needs(deterministic=True))
    answers = timed_by(sdpa_math=4.0, sdpa_flash=1.0)
    asked = [t for t in further(report(subject, *answers)) if t.question == "determinism"]
    assert [t.backend for t in asked] == ["sdpa-flash"]
    moves = Parity("fail", "fused", failures=(Failure("determinism", "dq moves"),))
    answers.append((asked[0], Measured("", moves)))
    found = advice(subject, *answers)
    assert found.backend == "sdpa-math"
    assert found.passed[0].why == "determinism: dq moves"
    assert found.unasked == ("determinism",)


def test_a_needed_log_sum_exp_must_be_given() -> None:
    """A backend that returns none is of no use to a ring."""
    subject = replace(SUBJECT, needs=Needs(lse=True))
    gives = Parity("pass", "fused", quantities={"lse": Quantity("pass", 0.1, "group", 1e-6)})
    with_lse = (timing(Arm(CASE, "sdpa-mem-efficient")), timed(2.0, gives))
    found = advice(subject, *timed_by(sdpa_flash=1.0), with_lse)
    assert found.backend == "sdpa-mem-efficient"


def test_nobody_is_advised_where_nobody_is_right() -> None:
    """Silence would read as approval."""
    found = advice(SUBJECT, (timing(Arm(CASE, "sdpa-flash")), timed(1.0, WRONG)))
    assert found.backend == ""
    assert found.passed


def test_the_call_is_timed_as_the_model_needs_it() -> None:
    """Dropout and the gradient of the bias are part of the question; the mask's form is not."""
    case = CASE.edit(score=Score(bias=Bias()), mask_form="dense-float")
    found = wanted(Subject(case, "sdpa-math", needs=Needs(bias_grad=True, dropout=0.1)))
    assert found.wants_bias_grad
    assert found.dropout_p == 0.1
    assert found.mask_form == "best"


def test_fused_kernels_are_tried_first() -> None:
    """Of all calls, before anybody else is tried; what runs today leads."""
    first, others = waves(["eager", "flex", "sdpa-flash", "sdpa-default"])
    assert first == ["sdpa-default", "sdpa-flash"]
    assert others == ["eager", "flex"]
    assert timings([SUBJECT], ["sdpa-flash", "eager"])[0][0].backend == "sdpa-math"


def test_a_time_that_was_withheld_is_no_verdict() -> None:
    """A busy machine: somebody is right, and nobody knows who is fast."""
    withheld = Measured("", RIGHT, Timing(withheld=("fwd_s: the interval is too wide",)))
    found = advice(SUBJECT, (timing(Arm(CASE, "sdpa-flash")), withheld))
    assert found.untimed
    assert not advice(SUBJECT, (timing(Arm(CASE, "sdpa-flash")), timed(1.0, WRONG))).untimed


def test_a_habit_is_what_runs_today() -> None:
    """The code around the call is part of what it costs."""
    subject = Subject(CASE, "sdpa-default", ("kv-tiled",))
    assert timings([subject], [])[0][0].backend == "written/kv-tiled"


def test_a_habit_that_only_looks_at_the_call_runs_as_the_backend() -> None:
    """How a benchmark holds its clock makes no call of another kind."""
    trials, _ = timings([replace(SUBJECT, habits=("timing-no-sync",))], ["sdpa-math"])
    assert trials[0].backend == "sdpa-math"
    trials, _ = timings([replace(SUBJECT, habits=("timing-no-sync", "kv-tiled"))], ["sdpa-math"])
    assert trials[0].backend == "written/kv-tiled"
