"""One judge: the lower end of the prediction decides, and what cannot be judged says why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from attnprobe.core.case import Case
from attnprobe.core.diagnosis import (
    Arm,
    Experiment,
    Finding,
    Prediction,
    Subject,
    Suspicion,
    Verdict,
)
from attnprobe.core.outcome import Measured, Outcome, OutOfMemory, Raised, Refused
from attnprobe.core.parity import Failure, Parity
from attnprobe.core.report import Report
from attnprobe.core.timing import Duration, Ratio, Timing, Versus
from attnprobe.core.trial import Record, Trial
from attnprobe.diagnosis.judge import findings, judge
from attnprobe.diagnosis.questions import by_value, paired, timing, trials, versus

CASE = Case(2, 8, 8, 512, 512, 64, 64, device="cuda")
THERE, HERE = Arm(CASE, "sdpa-math"), Arm(CASE, "sdpa-flash")
SUSPICION = Suspicion(
    "AP999",
    "made-up",
    "Something happens",
    "high",
    Subject(CASE, "sdpa-math", calls_per_step=10),
    "it is there",
    Prediction("time", 2, 4, "a model"),
    Experiment(THERE, HERE),
)
RIGHT, WRONG = (
    Parity("pass", "fused"),
    Parity("fail", "fused", failures=(Failure("accuracy", "off"),)),
)


def timed(
    seconds: float, spread: float = 0.01, parity: Parity = RIGHT, peak: int = 100
) -> Measured:
    taken = Duration(seconds, seconds * (1 - spread), seconds * (1 + spread), 100, 10)
    return Measured("", parity, Timing(taken, taken, taken, 1.0, peak_bytes=peak))


def records(*answers: tuple[Trial, Outcome]) -> dict[str, Record]:
    return {trial.id: Record(trial, outcome) for trial, outcome in answers}


def judged(there: Outcome, here: Outcome, *more: tuple[Trial, Outcome]) -> tuple[Verdict, str]:
    found = judge(SUSPICION, records((timing(THERE), there), (timing(HERE), here), *more))
    return found.verdict, found.reason


@pytest.mark.parametrize(
    ("ratio", "spread", "verdict"),
    [
        (3.0, 0.01, "confirmed"),
        (2.1, 0.01, "confirmed"),
        (9.0, 0.01, "confirmed"),
        (1.5, 0.01, "refuted"),
        (0.5, 0.01, "refuted"),
        (2.0, 0.05, "inconclusive"),
    ],
)
def test_the_lower_end_decides(ratio: float, spread: float, verdict: Verdict) -> None:
    """Above it the harm is there, below it is not, across it nobody knows."""
    assert judged(timed(ratio, spread), timed(1.0, spread))[0] == verdict


def test_more_than_predicted_is_said() -> None:
    """A model that was too kind is not hidden behind its verdict."""
    assert "more than predicted" in judged(timed(9.0), timed(1.0))[1]


def test_common_rounds_count_more_than_two_medians() -> None:
    """What two medians leave open, a paired comparison decides."""
    trial = versus(Experiment(THERE, HERE))
    assert trial is not None
    ratio = Ratio(2.2, 2.19, 2.21, 40)
    in_turns = (trial, Measured("", RIGHT, versus=Versus("sdpa-flash", ratio, ratio, ratio)))
    assert judged(timed(2.1, 0.1), timed(1.0, 0.1))[0] == "inconclusive"
    assert judged(timed(2.1, 0.1), timed(1.0, 0.1), in_turns)[0] == "confirmed"


def test_only_what_is_open_is_compared_in_turns() -> None:
    """Pairs cost time: they are for the undecided."""
    clear = records((timing(THERE), timed(3.0)), (timing(HERE), timed(1.0)))
    open_ = records((timing(THERE), timed(2.0, 0.1)), (timing(HERE), timed(1.0, 0.1)))
    assert paired([SUSPICION], clear) == []
    assert [t.question for t in paired([SUSPICION], open_)] == ["compare"]


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (Raised("forward", "RuntimeError", "boom"), "the treatment did not run: RuntimeError"),
        (OutOfMemory("backward", "CUDA"), "out of memory in backward"),
        (Refused("absent", ("no module",)), "refused by absent"),
        (Measured("", WRONG, Timing(withheld=("not timed",))), "the treatment is wrong"),
        (Measured("", RIGHT, Timing(withheld=("fwd_s: throttled",))), "throttled"),
    ],
)
def test_an_arm_without_a_number_leaves_it_open(there: Outcome, words: str) -> None:
    """The reason is the arm's own."""
    verdict, reason = judged(there, timed(1.0))
    assert verdict == "inconclusive"
    assert words in reason


def test_what_does_not_fit_takes_more_memory() -> None:
    """No number can be had of it, and none is needed: the control runs beside it."""
    suspicion = replace(SUSPICION, prediction=Prediction("memory", 2, 4, "a model"))
    for there in (OutOfMemory("forward", "CUDA"), Refused("memory", ("80 GiB of 60",))):
        found = judge(suspicion, records((timing(THERE), there), (timing(HERE), timed(1.0))))
        assert found.verdict == "confirmed"
        assert "does not fit" in found.reason


def test_a_finding_says_what_its_fix_saves_in_a_step() -> None:
    """Ten calls a step, two milliseconds each, and the memory of one."""
    found = judge(
        SUSPICION,
        records((timing(THERE), timed(3e-3, peak=500)), (timing(HERE), timed(1e-3, peak=100))),
    )
    assert found.saves_s == pytest.approx(20e-3)
    assert found.saves_bytes == 400
    assert found.remedy is not None
    assert found.remedy.verified


def test_a_wrong_fix_is_none() -> None:
    """It is fast because it is wrong: said, and not advised."""
    remedy = Arm(CASE, "sdpa-cudnn")
    suspicion = replace(SUSPICION, experiment=Experiment(THERE, HERE, remedy))
    answers = [(timing(THERE), timed(3.0)), (timing(HERE), timed(1.0))]
    found = judge(suspicion, records(*answers, (timing(remedy), timed(0.1, parity=WRONG))))
    assert found.verdict == "confirmed"
    assert found.remedy is not None
    assert found.remedy.verified is False
    assert "wrong" in found.remedy.words


def launch_bound(seconds: float, wall_s: float) -> Measured:
    taken = Duration(seconds, seconds, seconds, 100, 10, launch_bound=True, wall_s=wall_s)
    return Measured("", RIGHT, Timing(taken, taken, taken, 1.0))


def test_the_gpu_is_judged_by_its_own_time() -> None:
    """Launching takes the host as long on both sides: no kernel is to blame for it, but it is said."""
    answers = ((timing(THERE), timed(3.0)), (timing(HERE), launch_bound(1.0, 2.9)))
    found = judge(SUSPICION, records(*answers))
    assert found.verdict == "confirmed"
    assert found.effect is not None
    assert found.effect.launch_s == 2.9


def test_what_the_host_loses_is_judged_by_the_wall() -> None:
    """A prediction about launching is about a loop of such calls."""
    suspicion = replace(SUSPICION, prediction=Prediction("wall", 2, 4, "a model"))
    answers = records((timing(THERE), launch_bound(1.0, 3.0)), (timing(HERE), timed(1.0)))
    assert judge(SUSPICION, answers).verdict == "refuted"
    assert judge(suspicion, answers).verdict == "confirmed"


def test_of_a_long_refusal_the_line_that_was_expected_is_said() -> None:
    """Shapes and other operators' reasons stand around it."""
    expected = Prediction("refused", 1, 1, "a model", of="stride")
    said = Refused("library", ("No operator\n  query: (1, 2)\n   mask.stride is odd\n  HINT: pad",))
    suspicion = replace(SUSPICION, prediction=expected)
    there, here = (Trial(arm.case, arm.backend, "check") for arm in (THERE, HERE))
    found = judge(suspicion, records((there, said), (here, Measured("", RIGHT))))
    assert (found.verdict, found.reason) == ("confirmed", "mask.stride is odd")


def test_a_saving_is_no_more_than_the_host_lets_through() -> None:
    """Two of the GPU's three seconds are saved, and a loop of such calls gains a tenth of one."""
    found = judge(
        SUSPICION, records((timing(THERE), timed(3.0)), (timing(HERE), launch_bound(1.0, 2.9)))
    )
    assert found.saves_s == pytest.approx(10 * 0.1)
    assert found.saves_gpu_s == pytest.approx(10 * 2.0)


def test_wrong_numbers_come_first_then_the_largest_saving() -> None:
    """What is wrong is not outweighed by what is slow."""
    slow, slower = (
        SUSPICION,
        replace(
            SUSPICION,
            code="AP998",
            experiment=Experiment(
                Arm(CASE.edit(B=4), "sdpa-math"), Arm(CASE.edit(B=4), "sdpa-flash")
            ),
        ),
    )
    wrong = replace(
        SUSPICION, code="AP997", severity="low", prediction=Prediction("wrong", 1, 1, "")
    )
    answers = [
        (timing(THERE), timed(3e-3)),
        (timing(HERE), timed(1e-3)),
        (timing(Arm(CASE.edit(B=4), "sdpa-math")), timed(9e-3)),
        (timing(Arm(CASE.edit(B=4), "sdpa-flash")), timed(1e-3)),
        (Trial(CASE, "sdpa-math", "check"), Measured("", WRONG)),
        (Trial(CASE, "sdpa-flash", "check"), Measured("", RIGHT)),
    ]
    made = records(*answers)
    report = Report(records=tuple(made.values()), suspicions=(slow, slower, wrong))
    assert [f.suspicion.code for f in findings(report)] == ["AP997", "AP998", "AP999"]


def test_the_most_valuable_answers_come_first() -> None:
    """A budget that runs out costs the least answers: large, grave effects of small cases lead."""
    long = Arm(CASE.edit(B=64, Mq=8192, Mkv=8192), "sdpa-math")
    costly = replace(
        SUSPICION, code="AP998", experiment=Experiment(long, Arm(long.case, "sdpa-flash"))
    )
    mild = replace(
        SUSPICION, code="AP997", severity="low", prediction=Prediction("time", 1.1, 1.2, "")
    )
    ordered = by_value([mild, costly, SUSPICION])
    assert ordered[0].code == "AP999"
    assert trials(SUSPICION)[0].backend == "sdpa-flash"  # the control first


def per_sequence(there_s: float, here_s: float) -> Finding:
    """A call of two sequences against one of sixteen."""
    control = Arm(CASE.edit(B=16), THERE.backend)
    prediction = Prediction("time-per-sequence", 2, 4, "waves of blocks")
    found = replace(SUSPICION, prediction=prediction, experiment=Experiment(THERE, control))
    answers = (timing(THERE), timed(there_s)), (timing(control), timed(here_s))
    return judge(found, records(*answers))


def test_a_batch_is_shared_out_among_its_sequences() -> None:
    """Equal times for two sequences and for sixteen: each of the two costs eight times as much."""
    found = per_sequence(1.0, 1.0)
    assert found.effect is not None
    assert found.effect.median == pytest.approx(8)
    assert per_sequence(1.0, 8.0).verdict == "refuted"


def test_what_a_larger_batch_saves_is_counted_for_the_calls_own_sequences() -> None:
    """Two of sixteen sequences cost an eighth of the large call; ten calls a step."""
    assert per_sequence(1.0, 2.0).saves_s == pytest.approx(10 * (1.0 - 2.0 / 8))
